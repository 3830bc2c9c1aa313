/** Which points are near enough to be shown as their pictures: the nearest ones in view that leave each other room. */

import { type Box, Taken, around } from '../boxes';
import { PRESENCE } from '../presence';
import { Lens, NEAR } from './lens';
import type { Eye, Nearness } from './messages';
import type { Tree } from './tree';

/** What is a picture already stays one: it may be farther, goes before what is not much nearer, may be covered more. */
const HOLD = { reach: 1.2, rank: 2, covered: 0.85 };
const FIRST = 2; // what was found or chosen counts as so much nearer
const CANDIDATES = 2048; // looked at, at least; there is room for a few hundred
const COVERED = 0.82; // the part of a picture's side that no other picture reaches into

/** What is known of every row: uint8 (n,), see `presence.ts`, and 0 where there is no picture. */
export interface About {
  readonly presences: Uint8Array;
  readonly pictured: Uint8Array;
}

/** The chosen rows, the nearest first. */
export function near(tree: Tree, about: About, eye: Eye, wish: Nearness): Int32Array {
  const { presences } = about;
  const found = new Candidates(eye, wish.free, (HOLD.reach * wish.side) / wish.least);
  found.look(tree, about, wish.present);
  const held = new Set(wish.held);
  const keys = new Float64Array(found.count);
  const order: number[] = [];
  for (let i = 0; i < found.count; i += 1) {
    const row = found.rows[i] as number;
    const depth = found.depths[i] as number;
    if (!held.has(row) && wish.side < depth * wish.least) continue;
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

  constructor(private readonly eye: Eye, private readonly free: Box, private farthest: number) {}

  /** Go through what the camera sees of the tree where no panel covers it, nearer than the limit. */
  look(tree: Tree, { presences, pictured }: About, present: number): void {
    const { left, top, right, bottom } = this.free;
    const lens = new Lens(this.eye);
    tree.visit((boxes, at) => this.sees(boxes, at), (first, end) => {
      for (let place = first; place < end; place += 1) {
        if (!lens.sees(tree.points, place) || lens.depth > this.farthest) continue;
        const { x, y } = lens;
        const row = tree.order[place] as number;
        if (x < left || y < top || x > right || y > bottom) continue;
        if (pictured[row] !== 0 && (presences[row] as number) >= present) this.add(row, lens.depth, x, y);
      }
    });
  }

  /** Whether any of a box may be in view and near: for each side of what is seen, its corner farthest inside. */
  private sees(boxes: Int16Array, at: number): boolean {
    const { rows } = this.eye;
    const { left, top, right, bottom } = this.free;
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
      && side(1, 0, -left, 0) && side(-1, 0, right, 0) && side(0, 1, -top, 0) && side(0, -1, bottom, 0);
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
