/** Which level of names a cluster shows: its own, or those of the fine clusters inside it. */

import type { Vector3 } from 'three';

/** A name at a place, scene units; `size` in pictures. */
export interface Name {
  readonly text: string;
  readonly at: Vector3;
  readonly size: number;
  readonly color: string;
  readonly cluster: number;
  readonly level: 0 | 1;
  /** The coarse cluster of a fine one. */
  readonly parent: number | null;
}

interface Named {
  readonly name: Name;
}

const APART = 110; // CSS pixels between a cluster's middle and its fine ones', at which they have room for their names
const HOLD = 0.8; // once they are shown they stay until this part of it, so that a hand's tremble does not swap them

/** A coarse cluster and the fine ones in it; `coarse` is null where it has no name of its own. */
export class Group<T extends Named> {
  private open = false;
  /** How far the fine clusters lie from the coarse one's place, scene units: the root of the mean square. */
  private readonly reach: number;

  constructor(private readonly coarse: T | null, private readonly fine: readonly T[]) {
    const total = fine.reduce((sum, { name }) => sum + name.size, 0);
    const square = coarse && fine.reduce(
      (sum, { name }) => sum + name.size * name.at.distanceToSquared(coarse.name.at), 0);
    this.reach = square === null || total === 0 ? 0 : Math.sqrt(square / total);
  }

  /** The names to show to a camera, `perUnit` CSS pixels a scene unit at distance 1. */
  at(camera: Vector3, perUnit: number): readonly T[] {
    if (!this.coarse) return this.fine;
    const apart = (this.reach * perUnit) / Math.max(1e-6, camera.distanceTo(this.coarse.name.at));
    this.open = apart > APART * (this.open ? HOLD : 1);
    return this.open ? this.fine : [this.coarse];
  }
}

/** Names by the coarse clusters that they belong to. */
export function grouped<T extends Named>(names: readonly T[]): Group<T>[] {
  const fine = new Map<number | null, T[]>();
  for (const one of names) {
    if (one.name.level === 0) continue;
    const others = fine.get(one.name.parent);
    if (others) others.push(one);
    else fine.set(one.name.parent, [one]);
  }
  const groups: Group<T>[] = [];
  for (const one of names) {
    if (one.name.level !== 0) continue;
    groups.push(new Group(one, fine.get(one.name.cluster) ?? []));
    fine.delete(one.name.cluster);
  }
  for (const orphans of fine.values()) groups.push(new Group<T>(null, orphans));
  return groups;
}
