/** The tones of all points: what color each has and how present it is, in one pass. */

import { PRESENCE } from '../presence';
import type { Coloring, Presence, Scale, Values } from './messages';

/** The columns that a paint needs, by name; throws where one is missing. */
export type Column = (name: string) => Values;

/** uint8 (n,): how present each row is. `lassoed`: one bit a row. */
export function presences(n: number, wish: Presence, column: Column, lassoed: Uint8Array | null): Uint8Array {
  const found = new Uint8Array(n).fill(wish.base);
  if (wish.matches !== null) {
    const matches = column(wish.matches);
    for (let row = 0; row < n; row += 1) if (matches[row] !== 0) found[row] = PRESENCE.strong;
  }
  if (wish.lassoed && lassoed) {
    for (let row = 0; row < n; row += 1) {
      if (((lassoed[row >> 3] as number) >> (row & 7)) & 1) found[row] = PRESENCE.strong;
    }
  }
  for (const row of wish.rows) found[row] = PRESENCE.strong;
  return found;
}

/** uint8 (n, 4): each row's color, and its presence as alpha. */
export function tones(coloring: Coloring, present: Uint8Array, column: Column): Uint8Array<ArrayBuffer> {
  const packed = new Uint32Array(present.length);
  if (coloring.by === 'none') packed.fill(coloring.rest);
  else if (coloring.by === 'group') byGroup(packed, column(coloring.column), coloring.palette, coloring.rest);
  else byValue(packed, column(coloring.column), coloring.ramp, coloring.scale);
  for (let row = 0; row < packed.length; row += 1) {
    packed[row] = ((packed[row] as number) | ((present[row] as number) << 24)) >>> 0;
  }
  return new Uint8Array(packed.buffer);
}

/** Group g has color g modulo their number; -1 is the rest. */
function byGroup(packed: Uint32Array, groups: Values, palette: readonly number[], rest: number): void {
  for (let row = 0; row < packed.length; row += 1) {
    const group = groups[row] as number;
    packed[row] = group < 0 ? rest : (palette[group % palette.length] ?? rest);
  }
}

function byValue(packed: Uint32Array, values: Values, ramp: readonly number[], scale: Scale | null): void {
  const [low, high] = scale ? [scale.low, scale.high] : span(values);
  const last = ramp.length - 1;
  const steps = last / (high - low);
  for (let row = 0; row < packed.length; row += 1) {
    const value = values[row] as number;
    const at = (value - low) * steps;
    packed[row] = scale && value > scale.high ? scale.beyond : (ramp[at <= 0 ? 0 : at >= last ? last : at | 0] as number);
  }
}

/** The values between which the ramp runs: from the 5th percentile (of a sample) to the greatest. */
export function span(values: Values): readonly [number, number] {
  if (!values.length) return [0, 1];
  const stride = Math.max(1, Math.floor(values.length / 4096));
  const sample: number[] = [];
  for (let i = 0; i < values.length; i += stride) sample.push(values[i] as number);
  sample.sort((a, b) => a - b);
  let high = -Infinity;
  for (const value of values) if (value > high) high = value;
  const low = sample[Math.floor(sample.length * 0.05)] as number;
  return high > low ? [low, high] : [low, low + 1];
}
