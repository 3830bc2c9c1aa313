/** Where a group of points is. */

import type { Spot, Values } from './messages';
import type { Tree } from './tree';

/** The middle of a group's points and how far they are from it, quantized units; null if the group has none. */
export function spot(tree: Tree, groups: Values, group: number): Spot | null {
  const sums: [number, number, number] = [0, 0, 0];
  let count = 0;
  let squares = 0;
  for (let place = 0; place < tree.order.length; place += 1) {
    if (groups[tree.order[place] as number] !== group) continue;
    count += 1;
    for (let axis = 0; axis < 3; axis += 1) {
      const q = tree.points[3 * place + axis] as number;
      sums[axis] = (sums[axis] as number) + q;
      squares += q * q;
    }
  }
  if (count === 0) return null;
  const middle: [number, number, number] = [sums[0] / count, sums[1] / count, sums[2] / count];
  const variance = squares / count - middle.reduce((sum, m) => sum + m * m, 0);
  return { middle, spread: Math.sqrt(Math.max(0, variance)) };
}
