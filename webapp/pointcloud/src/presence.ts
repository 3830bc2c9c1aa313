/** How present a point is, 0-255: the alpha of its tone. The shaders read size, dimness and rank from it. */

export const PRESENCE = { dim: 58, soft: 120, normal: 200, strong: 255 } as const;

/** What stands out is drawn before all the rest; `rank` of the shaders has the same bound. */
const BEFORE = 0.95;

/** Each presence's share of the full diameter; the cloud's shader has the same figures. */
const FACTORS = Float32Array.from({ length: 256 }, (_, presence) => {
  const part = presence / 255;
  return (0.62 + 0.38 * smoothstep(0.1, 0.75, part)) * (1 + 0.45 * smoothstep(0.85, 1, part));
});

export function factor(presence: number): number {
  return FACTORS[presence] as number;
}

export function isBefore(presence: number): boolean {
  return presence / 255 > BEFORE;
}

function smoothstep(from: number, to: number, value: number): number {
  const t = Math.min(1, Math.max(0, (value - from) / (to - from)));
  return t * t * (3 - 2 * t);
}
