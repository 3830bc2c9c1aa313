/** Which points are near enough to be shown as their pictures: the nearest ones in view that leave each other room. */

import { Taken, around } from '../boxes';
import { PRESENCE } from '../presence';
import type { Eye, Nearness } from './messages';
import type { Tree } from './tree';

/** What is a picture already stays one: it may be farther, goes before what is not much nearer, may be covered more. */
const HOLD = { reach: 1.2, rank: 2, covered: 0.85 };
const FIRST = 2; // what was found or chosen counts as so much nearer
const CANDIDATES = 2048; // looked at, at least; there is room for a few hundred
const COVERED = 0.82; // the part of a picture's side that no other picture reaches into
const NEAR = 0.004; // depth at which the camera begins to see, scene units

/** The chosen rows, the nearest first. `presences`: uint8 (n,), see `presence.ts`. */
export function near(tree: Tree, presences: Uint8Array, eye: Eye, wish: Nearness): Int32Array {
  const found = new Candidates(eye, (HOLD.reach * wish.side) / wish.least);
  found.look(tree, presences, wish.present);
  const held = new Set(wish.held);
  const barred = new Set(wish.barred);
  const keys = new Float64Array(found.count);
  const order: number[] = [];
  for (let i = 0; i < found.count; i += 1) {
    const row = found.rows[i] as number;
    const depth = found.depths[i] as number;
    if (barred.has(row) || (!held.has(row) && wish.side < depth * wish.least)) continue;
    const first = presences[row] === PRESENCE.strong;
    keys[i] = depth / ((held.has(row) ? HOLD.rank : 1) * (first ? FIRST : 1));
    order.push(i);
  }
  order.sort((a, b) => (keys[a] as number) - (keys[b] as number));
  return spread(order, found, held, wish);
}

/** Take one after the other what leaves the others room. */
function spread(order: readonly number[], found: Candidates, held: ReadonlySet<number>, wish: Nearness): Int32Array {
  const taken = new Taken(wish.taken);
  const chosen: number[] = [];
  for (const i of order) {
    if (chosen.length === wish.most) break;
    const row = found.rows[i] as number;
    const whole = Math.min(wish.greatest, Math.max(wish.least, wish.side / (found.depths[i] as number)));
    const side = COVERED * whole * (held.has(row) ? HOLD.covered : 1);
    const box = around(found.across[i] as number, found.down[i] as number, side, side);
    if (taken.meets(box)) continue;
    taken.add(box);
    chosen.push(row);
  }
  return Int32Array.from(chosen);
}

/** The nearest points in view. Whenever there are too many, the farther half goes and the limit comes nearer. */
class Candidates {
  readonly rows = new Int32Array(2 * CANDIDATES);
  readonly depths = new Float64Array(2 * CANDIDATES);
  /** CSS pixels from the canvas's corner. */
  readonly across = new Float32Array(2 * CANDIDATES);
  readonly down = new Float32Array(2 * CANDIDATES);
  count = 0;

  constructor(private readonly eye: Eye, private farthest: number) {}

  /** Go through what the camera sees of the tree, nearer than the limit. */
  look(tree: Tree, presences: Uint8Array, present: number): void {
    const { width, height } = this.eye;
    const [a0, a1, a2, a3, b0, b1, b2, b3, w0, w1, w2, w3] = this.eye.rows as
      [number, number, number, number, number, number, number, number, number, number, number, number];
    tree.visit((boxes, at) => this.sees(boxes, at), (first, end) => {
      for (let place = first; place < end; place += 1) {
        const qx = tree.points[3 * place] as number;
        const qy = tree.points[3 * place + 1] as number;
        const qz = tree.points[3 * place + 2] as number;
        const depth = w0 * qx + w1 * qy + w2 * qz + w3;
        if (depth < NEAR || depth > this.farthest) continue;
        const x = (a0 * qx + a1 * qy + a2 * qz + a3) / depth;
        const y = (b0 * qx + b1 * qy + b2 * qz + b3) / depth;
        const row = tree.order[place] as number;
        if (x < 0 || y < 0 || x > width || y > height || (presences[row] as number) < present) continue;
        this.add(row, depth, x, y);
      }
    });
  }

  /** Whether any of a box may be in view and near: for each side of what is seen, its corner farthest inside. */
  private sees(boxes: Int16Array, at: number): boolean {
    const { rows, width, height } = this.eye;
    const side = (across: number, down: number, depth: number, plus: number): boolean => {
      const weigh = (i: number): number =>
        across * (rows[i] as number) + down * (rows[4 + i] as number) + depth * (rows[8 + i] as number);
      let most = weigh(3) + plus;
      for (let axis = 0; axis < 3; axis += 1) {
        const weight = weigh(axis);
        most += weight * (boxes[at + axis + (weight > 0 ? 3 : 0)] as number);
      }
      return most >= 0;
    };
    return side(0, 0, 1, -NEAR) && side(0, 0, -1, this.farthest)
      && side(1, 0, 0, 0) && side(-1, 0, width, 0) && side(0, 1, 0, 0) && side(0, -1, height, 0);
  }

  private add(row: number, depth: number, x: number, y: number): void {
    this.rows[this.count] = row;
    this.depths[this.count] = depth;
    this.across[this.count] = x;
    this.down[this.count] = y;
    this.count += 1;
    if (this.count === this.rows.length) this.halve();
  }

  private halve(): void {
    this.farthest = this.depths.slice().sort()[CANDIDATES] as number;
    let kept = 0;
    for (let i = 0; i < this.count; i += 1) {
      if ((this.depths[i] as number) >= this.farthest) continue;
      for (const values of [this.rows, this.depths, this.across, this.down]) values[kept] = values[i] as number;
      kept += 1;
    }
    this.count = kept;
  }
}
