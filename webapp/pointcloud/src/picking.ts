/**
 * Which point is under the pointer: the cloud is drawn once more into a few pixels around it, each point in the color
 * of its row. One draw call at any number of points, and it sees what the eye sees: the nearest point hides others.
 */

import { Color, NearestFilter, Scene, WebGLRenderTarget } from 'three';
import type { Cloud } from './cloud';
import type { Stage } from './stage';

export class Picker {
  private readonly scene = new Scene();
  private readonly targets = new Map<number, WebGLRenderTarget>();
  private readonly before = new Color();

  constructor(private readonly stage: Stage, private readonly cloud: Cloud) {
    this.scene.add(cloud.pickable);
  }

  /**
   * The row of the point nearest to (x, y), CSS pixels from the canvas's corner, -1 if none is within `reach` CSS
   * pixels. Answers when the GPU is done, without making the page wait for it.
   */
  async at(x: number, y: number, reach = 5): Promise<number> {
    if (this.stage.lost) return -1;
    const { renderer, camera, ratio } = this.stage;
    const side = 2 * Math.ceil(reach * ratio) + 1;
    const middle = (side - 1) / 2;
    const target = this.target(side);
    const width = Math.round(this.stage.width * ratio);
    const height = Math.round(this.stage.height * ratio);
    // The whole view, shifted so that the pixels around the pointer fall into the small target; y counts upwards.
    const left = Math.floor(x * ratio) - middle;
    const bottom = height - 1 - Math.floor(y * ratio) - middle;
    target.viewport.set(-left, -bottom, width, height);
    renderer.getClearColor(this.before);
    const alpha = renderer.getClearAlpha();
    renderer.setClearColor(0x000000, 0);
    renderer.setRenderTarget(target);
    renderer.render(this.scene, camera);
    renderer.setRenderTarget(null);
    renderer.setClearColor(this.before, alpha);
    const pixels = new Uint8Array(4 * side * side);
    try {
      await renderer.readRenderTargetPixelsAsync(target, 0, 0, side, side, pixels);
    } catch {
      return -1; // the context went away
    }
    return nearest(pixels, side, this.cloud.n);
  }

  dispose(): void {
    for (const target of this.targets.values()) target.dispose();
  }

  private target(side: number): WebGLRenderTarget {
    let target = this.targets.get(side);
    if (!target) {
      target = new WebGLRenderTarget(side, side, { minFilter: NearestFilter, magFilter: NearestFilter });
      this.targets.set(side, target);
    }
    return target;
  }
}

/** The row coded nearest to the middle of a square of RGBA pixels, -1 if there is none. */
export function nearest(pixels: Uint8Array, side: number, n: number): number {
  const middle = (side - 1) / 2;
  let best = -1;
  let least = Infinity;
  for (let i = 0, at = 0; i < side * side; i += 1, at += 4) {
    const code = (pixels[at] ?? 0) + 256 * (pixels[at + 1] ?? 0) + 65536 * (pixels[at + 2] ?? 0)
      + 16777216 * (pixels[at + 3] ?? 0);
    if (code === 0 || code > n) continue;
    const far = ((i % side) - middle) ** 2 + (Math.floor(i / side) - middle) ** 2;
    if (far < least) {
      least = far;
      best = code - 1;
    }
  }
  return best;
}
