/** The camera, as loops over many points use it. */

import type { Eye } from './messages';

/** Depth at which the camera begins to see, scene units. */
export const NEAR = 0.004;

/** Made once a look; tells where one point after the other is seen. */
export class Lens {
  /** Of the point last looked at: CSS pixels from the canvas's corner, and its depth in scene units. */
  x = 0;
  y = 0;
  depth = 0;
  private readonly rows: Float64Array;

  constructor(eye: Eye) {
    this.rows = Float64Array.from(eye.rows);
  }

  /** Look at a point of int16 (n, 3), quantized; false where it lies before all that the camera sees. */
  sees(points: Int16Array, place: number): boolean {
    const { rows } = this;
    const qx = points[3 * place] as number;
    const qy = points[3 * place + 1] as number;
    const qz = points[3 * place + 2] as number;
    const weigh = (row: number): number => (rows[row] as number) * qx + (rows[row + 1] as number) * qy
      + (rows[row + 2] as number) * qz + (rows[row + 3] as number);
    const depth = weigh(8);
    if (depth < NEAR) return false;
    this.depth = depth;
    this.x = weigh(0) / depth;
    this.y = weigh(4) / depth;
    return true;
  }
}
