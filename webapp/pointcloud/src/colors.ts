/** What a point's color means: its cluster, its split, or its similarity to the query. Gray is the rest. */

import type { ThemeName } from './props';

export type Rgb = readonly [number, number, number];

/** The ground, the ink on it, and the gray of what has no group. */
export const THEMES: Readonly<Record<ThemeName, { ground: string; ink: string; rest: string }>> = {
  dark: { ground: '#0b0d12', ink: '#f2f4f8', rest: '#77808f' },
  light: { ground: '#f6f7f9', ink: '#14171d', rest: '#99a1ad' },
};

/** How present a point is, 0-255: the alpha of its tone. The shaders read size and dimness from it. */
export const PRESENCE = { dim: 58, soft: 120, normal: 200, strong: 255 } as const;

/** viridis at eleven even stops (van der Walt and Smith, 2015; CC0). */
const VIRIDIS: readonly Rgb[] = [
  [68, 1, 84], [72, 36, 117], [65, 68, 135], [53, 95, 141], [42, 120, 142], [33, 145, 140],
  [34, 168, 132], [68, 191, 112], [122, 209, 81], [189, 223, 38], [253, 231, 37],
];

export function rgb(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** The ramp at t in 0-1. In the light it runs the other way, so that what is less alike always recedes. */
export function ramp(t: number, theme: ThemeName): Rgb {
  const along = Math.min(1, Math.max(0, theme === 'dark' ? t : 1 - t)) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(along));
  const a = VIRIDIS[low] as Rgb;
  const b = VIRIDIS[low + 1] as Rgb;
  const part = along - low;
  return [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part];
}

/** The similarities between which the ramp runs: from the 5th percentile (of a sample) to the greatest. */
export function span(values: Float32Array): readonly [number, number] {
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

/** Write one color a row into tones, uint8 (n, 4); alpha stays. */
export function paint(tones: Uint8Array, color: (row: number) => Rgb): void {
  for (let row = 0, at = 0; at < tones.length; row += 1, at += 4) {
    const value = color(row);
    tones[at] = value[0];
    tones[at + 1] = value[1];
    tones[at + 2] = value[2];
  }
}

export function byCluster(clusters: Int32Array, palette: readonly Rgb[], rest: Rgb): (row: number) => Rgb {
  return (row) => {
    const cluster = clusters[row] ?? -1;
    return cluster < 0 ? rest : (palette[cluster % palette.length] ?? rest);
  };
}

/** train in the palette's first color, heldout in its second. */
export function bySplit(split: Uint8Array, palette: readonly Rgb[], rest: Rgb): (row: number) => Rgb {
  return (row) => palette[split[row] ?? 0] ?? rest;
}

export function bySimilarity(values: Float32Array, theme: ThemeName): (row: number) => Rgb {
  const [low, high] = span(values);
  const table = Array.from({ length: 256 }, (_, i) => ramp(i / 255, theme));
  const scale = 255 / (high - low);
  return (row) => {
    const at = ((values[row] ?? low) - low) * scale;
    return table[at <= 0 ? 0 : at >= 255 ? 255 : at | 0] as Rgb;
  };
}
