/** Which point is under the pointer: asked of the worker, which knows where the eye sees every point. */

import { Matrix4 } from 'three';
import type { Cloud } from './cloud';
import type { Stage } from './stage';
import type { Store } from './store';
import type { Thumbnails } from './thumbnails';
import type { Eye } from './worker/messages';

/** Where picking looks: the arrays, and the map that the cloud stands in. */
export interface Sights {
  readonly store: Store;
  readonly space: string;
}

export class Picker {
  /** `sights` is null while there is nothing to pick from: nothing has come yet, or the cloud morphs. */
  constructor(
    private readonly stage: Stage, private readonly cloud: Cloud, private readonly thumbnails: Thumbnails,
    private readonly sights: () => Sights | null,
  ) {}

  /**
   * The row of the point nearest to (x, y), CSS pixels from the canvas's corner, -1 if none is within `reach` CSS
   * pixels. It sees what the eye sees: pictures are before points, the nearest point hides others.
   */
  async at(x: number, y: number, reach = 5): Promise<number> {
    const eye = eyeOf(this.stage, this.cloud);
    const sights = this.sights();
    if (!eye || !sights) return -1;
    const picture = this.thumbnails.at(x, y);
    if (picture >= 0) return picture;
    try {
      return await sights.store.pick(sights.space, eye, x, y, reach);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') return -1; // the map was taken away
      throw error;
    }
  }
}

/** How the camera now sees the cloud; null while it morphs. */
export function eyeOf(stage: Stage, cloud: Cloud): Eye | null {
  const { standing, uniforms } = cloud;
  if (!standing) return null;
  const { camera, width, height, ratio } = stage;
  camera.updateMatrixWorld();
  const e = new Matrix4().multiplyMatrices(camera.projectionMatrix, camera.matrixWorldInverse).elements;
  const rows: number[] = [];
  const row = (of: (column: number) => number): void => {
    for (let column = 0; column < 4; column += 1) rows.push(of(column) * (column < 3 ? standing.unit : 1));
  };
  const clip = (column: number, axis: number): number => e[4 * column + axis] as number;
  row((column) => ((clip(column, 3) + clip(column, 0)) / 2) * width);
  row((column) => ((clip(column, 3) - clip(column, 1)) / 2) * height);
  row((column) => clip(column, 3));
  return {
    rows, width, height,
    diameter: (uniforms.pointSize.value * uniforms.pixelsPerUnit.value) / ratio,
    least: uniforms.pixels.value.x / ratio,
    greatest: uniforms.pixels.value.y / ratio,
  };
}
