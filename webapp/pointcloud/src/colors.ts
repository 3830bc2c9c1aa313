/** The colors: of the two themes, and of the ramp that similarities take. Gray is the rest. */

import type { ThemeName } from './props';

export type Rgb = readonly [number, number, number];

/** The ground, the ink on it, and the gray of what has no group. */
export const THEMES: Readonly<Record<ThemeName, { ground: string; ink: string; rest: string }>> = {
  dark: { ground: '#0b0d12', ink: '#f2f4f8', rest: '#77808f' },
  light: { ground: '#f6f7f9', ink: '#14171d', rest: '#99a1ad' },
};

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
function ramp(t: number, theme: ThemeName): Rgb {
  const along = Math.min(1, Math.max(0, theme === 'dark' ? t : 1 - t)) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(along));
  const a = VIRIDIS[low] as Rgb;
  const b = VIRIDIS[low + 1] as Rgb;
  const part = along - low;
  return [a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part, a[2] + (b[2] - a[2]) * part];
}

/** The ramp in 256 stops, packed. */
export function rampOf(theme: ThemeName): number[] {
  return Array.from({ length: 256 }, (_, i) => packed(ramp(i / 255, theme)));
}

/** A color as the lower three bytes of a tone, red first. */
export function packed([r, g, b]: Rgb): number {
  return Math.round(r) | (Math.round(g) << 8) | (Math.round(b) << 16);
}
