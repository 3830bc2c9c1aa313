/** Which points a drawn line goes around. */

import { Lens } from './lens';
import type { Eye, Lassoed } from './messages';
import type { Tree } from './tree';

/**
 * The points seen within a polygon, at any depth. The polygon is filled into a mask of CSS pixels first, so that the
 * time is the same for any number of corners.
 *
 * `within`: uint8 (n,), 0 where a row is left out; null leaves out none.
 */
export function inside(tree: Tree, eye: Eye, polygon: readonly number[], within: Uint8Array | null): Lassoed {
  const begun = performance.now();
  const [width, height] = [Math.ceil(eye.width), Math.ceil(eye.height)];
  const filled = fill(polygon, width, height);
  const lens = new Lens(eye);
  const { points, order } = tree;
  const mask = new Uint8Array(Math.ceil(order.length / 8));
  let count = 0;
  for (let place = 0; place < order.length; place += 1) {
    if (!lens.sees(points, place)) continue;
    const [x, y] = [Math.floor(lens.x), Math.floor(lens.y)];
    if (x < 0 || y < 0 || x >= width || y >= height || filled[y * width + x] === 0) continue;
    const row = order[place] as number;
    if (within && within[row] === 0) continue;
    mask[row >> 3] = (mask[row >> 3] as number) | (1 << (row & 7));
    count += 1;
  }
  return { count, mask, ms: performance.now() - begun };
}

/** uint8 (height, width): 1 where a pixel's middle lies in the polygon (x0, y0, x1, y1, ...), even-odd. */
export function fill(polygon: readonly number[], width: number, height: number): Uint8Array {
  const filled = new Uint8Array(width * height);
  const corners = polygon.length / 2;
  for (let y = 0; y < height; y += 1) {
    const crossings: number[] = [];
    for (let i = 0, j = corners - 1; i < corners; j = i, i += 1) {
      const [xi, yi] = [polygon[2 * i] as number, polygon[2 * i + 1] as number];
      const [xj, yj] = [polygon[2 * j] as number, polygon[2 * j + 1] as number];
      const middle = y + 0.5;
      if (yi > middle !== yj > middle) crossings.push(xi + ((middle - yi) / (yj - yi)) * (xj - xi));
    }
    crossings.sort((a, b) => a - b);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const from = Math.max(0, Math.ceil((crossings[i] as number) - 0.5));
      const to = Math.min(width, Math.ceil((crossings[i + 1] as number) - 0.5));
      if (to > from) filled.fill(1, y * width + from, y * width + to);
    }
  }
  return filled;
}
