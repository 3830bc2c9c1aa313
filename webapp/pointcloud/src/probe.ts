/** Two questions that tests ask the element itself: where a picture stands on screen, and where in the scene. */

import type { Cloud } from './cloud';
import type { Stage } from './stage';
import type { Ids } from './store';

export interface Probe {
  /** CSS pixels of the viewport; null if this map has no such picture. */
  project(id: number): { x: number; y: number; visible: boolean } | null;
  /** Scene units; null if this map has no such picture. */
  worldOf(id: number): readonly number[] | null;
}

/** Put the probe on the element; returns what takes it away again. */
export function expose(
  host: HTMLElement & Partial<Probe>, stage: Stage, cloud: Cloud, ids: () => Ids | null,
): () => void {
  const row = (id: number): number => ids()?.row(id) ?? -1;
  host.project = (id) => {
    if (row(id) < 0) return null;
    const { x, y, ahead } = stage.project(cloud.at(row(id)));
    const box = stage.canvas.getBoundingClientRect();
    const inside = x > 0 && y > 0 && x < stage.width && y < stage.height;
    return { x: box.left + x, y: box.top + y, visible: ahead && inside };
  };
  host.worldOf = (id) => (row(id) < 0 ? null : cloud.at(row(id)).toArray());
  return () => {
    delete host.project;
    delete host.worldOf;
  };
}
