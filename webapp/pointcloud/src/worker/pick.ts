/** Which point is seen at a place: the nearest to the eye of those whose discs are there, as the GPU draws them. */

import { factor, isBefore } from '../presence';
import { Lens, NEAR } from './lens';
import type { Eye } from './messages';
import type { Tree } from './tree';

/** Points around the pointer: their offsets from it and radii, CSS pixels, and their ranks; a lower one is before. */
class Seen {
  readonly rows: number[] = [];
  readonly across: number[] = [];
  readonly up: number[] = [];
  readonly radii: number[] = [];
  readonly ranks: number[] = [];
}

/**
 * The row of the point that the eye sees nearest to (x, y), CSS pixels from the canvas's corner, -1 if no disc comes
 * within `reach` CSS pixels of it. `presences`: uint8 (n,), see `presence.ts`.
 */
export function pick(tree: Tree, presences: Uint8Array, eye: Eye, x: number, y: number, reach: number): number {
  const seen = touched(tree, presences, eye, x, y, reach);
  let nearest = -1;
  let least = reach;
  for (let i = 0; i < seen.rows.length; i += 1) {
    const gap = Math.max(0, Math.hypot(seen.across[i] as number, seen.up[i] as number) - (seen.radii[i] as number));
    if (gap < least || (gap === least && before(seen, i, nearest))) [nearest, least] = [i, gap];
  }
  return nearest < 0 ? -1 : (seen.rows[topmost(seen, nearest, least)] as number);
}

/** Of the discs that cover the place where the nearest one begins, the first in the eye's order. */
function topmost(seen: Seen, nearest: number, gap: number): number {
  const [a, b] = [seen.across[nearest] as number, seen.up[nearest] as number];
  const far = Math.hypot(a, b) || 1;
  // Half a pixel inside of the disc: on its very edge, rounding would decide.
  const way = gap > 0 ? Math.min(far, gap + 0.5) / far : 0;
  let best = nearest;
  for (let i = 0; i < seen.rows.length; i += 1) {
    const covers = Math.hypot((seen.across[i] as number) - a * way, (seen.up[i] as number) - b * way)
      <= (seen.radii[i] as number);
    if (covers && before(seen, i, best)) best = i;
  }
  return best;
}

function before(seen: Seen, i: number, other: number): boolean {
  return other < 0 || (seen.ranks[i] as number) < (seen.ranks[other] as number);
}

/** Every point whose disc comes within `reach` of (x, y). */
function touched(tree: Tree, presences: Uint8Array, eye: Eye, x: number, y: number, reach: number): Seen {
  const seen = new Seen();
  const [a0, a1, a2, a3, b0, b1, b2, b3, w0, w1, w2, w3] = eye.rows as
    [number, number, number, number, number, number, number, number, number, number, number, number];
  // Offsets from the pointer times depth: linear in q, so that a box's extremes are known from its middle and sides.
  const [c0, c1, c2, c3] = [a0 - x * w0, a1 - x * w1, a2 - x * w2, a3 - x * w3];
  const [d0, d1, d2, d3] = [b0 - y * w0, b1 - y * w1, b2 - y * w2, b3 - y * w3];
  const lens = new Lens(eye);
  const most = reach + eye.greatest / 2;
  const touches = (boxes: Int16Array, at: number): boolean => {
    const [lx, ly, lz] = [boxes[at] as number, boxes[at + 1] as number, boxes[at + 2] as number];
    const [hx, hy, hz] = [boxes[at + 3] as number, boxes[at + 4] as number, boxes[at + 5] as number];
    const [mx, my, mz] = [(lx + hx) / 2, (ly + hy) / 2, (lz + hz) / 2];
    const [sx, sy, sz] = [(hx - lx) / 2, (hy - ly) / 2, (hz - lz) / 2];
    const deepest = w0 * mx + w1 * my + w2 * mz + w3 + Math.abs(w0) * sx + Math.abs(w1) * sy + Math.abs(w2) * sz;
    if (deepest < NEAR) return false;
    const across = Math.abs(c0 * mx + c1 * my + c2 * mz + c3) - Math.abs(c0) * sx - Math.abs(c1) * sy - Math.abs(c2) * sz;
    const up = Math.abs(d0 * mx + d1 * my + d2 * mz + d3) - Math.abs(d0) * sx - Math.abs(d1) * sy - Math.abs(d2) * sz;
    return across <= most * deepest && up <= most * deepest;
  };
  tree.visit(touches, (first, end) => {
    for (let place = first; place < end; place += 1) {
      if (!lens.sees(tree.points, place)) continue;
      const { depth } = lens;
      const [across, up] = [lens.x - x, lens.y - y];
      const row = tree.order[place] as number;
      const presence = presences[row] as number;
      const size = Math.min(eye.greatest, Math.max(eye.least, (eye.diameter / depth) * factor(presence)));
      if (Math.hypot(across, up) - size / 2 > reach) continue;
      seen.rows.push(row);
      seen.across.push(across);
      seen.up.push(up);
      seen.radii.push(size / 2);
      seen.ranks.push(isBefore(presence) ? -1 / depth : depth);
    }
  });
  return seen;
}
