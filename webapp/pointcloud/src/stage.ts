/** The canvas: renderer, size, a loop that draws on demand only, and a context that may be lost and come back. */

import { Color, PerspectiveCamera, Scene, type Vector3, WebGLRenderer } from 'three';
import type { Insets } from './props';
import { NEAR } from './worker/lens';

const FIELD_OF_VIEW = 45; // degrees, vertical
const CROWD = 30_000; // points that are so small on screen that a jagged rim is hardly seen
const SOFTWARE = /swiftshader|llvmpipe|software|basic render/i;

/** Asked before each frame; true asks for another one. */
export type Mover = (now: number) => boolean;

/** This browser offers no WebGL 2. */
export class NoWebgl extends Error {}

export class Stage {
  readonly scene = new Scene();
  readonly camera = new PerspectiveCamera(FIELD_OF_VIEW, 1, NEAR, 60);
  readonly renderer: WebGLRenderer;
  readonly canvas: HTMLCanvasElement;
  /** Whether a pixel has several samples, so that a point's rim may cover a part of it. */
  readonly smooth: boolean;
  /** CSS pixels. */
  width = 1;
  height = 1;
  frames = 0;
  lost = false;
  private readonly movers = new Set<Mover>();
  private readonly after: (() => void)[] = [];
  private readonly resting: (() => void)[] = [];
  private readonly observer: ResizeObserver;
  private readonly clear = new Color();
  private request = 0;
  private insets: Insets = { left: 0, right: 0, top: 0, bottom: 0 };

  /**
   * Throws NoWebgl where there is no WebGL 2. Rims are multisampled, but not those of a crowd of `n` points where the
   * processor draws: it would take twice the time for a frame.
   */
  constructor(
    private readonly host: HTMLElement,
    n: number,
    private readonly resized: () => void,
    private readonly contextChanged: (lost: boolean) => void,
  ) {
    this.canvas = document.createElement('canvas');
    const antialias = n <= CROWD || !drawsInSoftware();
    // An opaque canvas: the points' coverage would else leave holes through which the page shines.
    const context = this.canvas.getContext('webgl2', {
      alpha: false, antialias, depth: true, stencil: false, powerPreference: 'high-performance',
    });
    if (!context) throw new NoWebgl();
    this.smooth = context.getContextAttributes()?.antialias ?? false; // a lost context has none to tell
    this.renderer = new WebGLRenderer({ canvas: this.canvas, context, antialias, alpha: false });
    this.canvas.className = 'pointcloud-canvas';
    this.canvas.addEventListener('webglcontextlost', this.onLost);
    this.canvas.addEventListener('webglcontextrestored', this.onRestored);
    host.prepend(this.canvas);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(host);
  }

  /** Ask for a frame; many asks before it make one. */
  invalidate(): void {
    if (this.request) return;
    this.host.dataset['moving'] = 'true';
    this.request = requestAnimationFrame(this.frame);
  }

  /** Let something move until it says that it is done. */
  move(mover: Mover): void {
    this.movers.add(mover);
    this.invalidate();
  }

  halt(mover: Mover): void {
    this.movers.delete(mover);
  }

  /** Run after every frame: what lies above the canvas follows it. */
  afterFrame(follow: () => void): void {
    this.after.push(follow);
  }

  /** Run once nothing moves any more. */
  onRest(rested: () => void): void {
    this.resting.push(rested);
  }

  ground(color: string): void {
    this.renderer.setClearColor(this.clear.set(color), 1);
    this.invalidate();
  }

  /** Take the host's size, less what covers it. Call it once before the first frame. */
  inset(insets: Insets): void {
    this.insets = insets;
    this.resize();
  }

  /** The part of the canvas that nothing covers, CSS pixels. */
  get free(): { readonly width: number; readonly height: number; readonly x: number; readonly y: number } {
    const { left, right, top, bottom } = this.insets;
    const width = Math.max(120, this.width - left - right);
    const height = Math.max(120, this.height - top - bottom);
    return { width, height, x: left + width / 2, y: top + height / 2 };
  }

  /** Device pixels that one scene unit covers at distance 1. */
  get pixelsPerUnit(): number {
    return (this.height * this.ratio) / (2 * Math.tan((FIELD_OF_VIEW * Math.PI) / 360));
  }

  get ratio(): number {
    return this.renderer.getPixelRatio();
  }

  /** Where a place, scene units, is seen: CSS pixels from the canvas's corner, and whether it lies ahead. Changes `at`. */
  project(at: Vector3): { readonly x: number; readonly y: number; readonly ahead: boolean } {
    at.project(this.camera);
    return { x: ((at.x + 1) / 2) * this.width, y: ((1 - at.y) / 2) * this.height, ahead: Math.abs(at.z) < 1 };
  }

  /** Draw now, outside the loop. */
  draw(): void {
    if (this.lost) return;
    this.renderer.render(this.scene, this.camera);
    this.frames += 1;
    this.host.dataset['frame'] = String(this.frames);
    for (const follow of this.after) follow();
  }

  dispose(): void {
    cancelAnimationFrame(this.request);
    this.observer.disconnect();
    this.movers.clear();
    this.canvas.removeEventListener('webglcontextlost', this.onLost);
    this.canvas.removeEventListener('webglcontextrestored', this.onRestored);
    this.renderer.dispose();
    this.renderer.forceContextLoss(); // browsers keep few contexts, and free them late
    this.canvas.remove();
  }

  private readonly frame = (now: number): void => {
    // What movers ask for is drawn right after them: no other frame for that.
    if (!this.lost) for (const mover of [...this.movers]) if (!mover(now)) this.movers.delete(mover);
    this.request = 0;
    if (this.lost) return;
    this.draw();
    if (this.movers.size) this.invalidate();
    if (this.request) return;
    this.host.dataset['moving'] = 'false';
    for (const rested of this.resting) rested();
  };

  private resize(): void {
    this.width = Math.max(1, this.host.clientWidth);
    this.height = Math.max(1, this.host.clientHeight);
    this.renderer.setPixelRatio(Math.min(2, window.devicePixelRatio || 1));
    this.renderer.setSize(this.width, this.height, false);
    this.camera.aspect = this.width / this.height;
    const { x, y } = this.free;
    // Shift the picture so that the camera's target stands in the middle of what is free.
    this.camera.setViewOffset(
      this.width, this.height, this.width / 2 - x, this.height / 2 - y, this.width, this.height);
    this.camera.updateProjectionMatrix();
    this.resized();
    // Setting a canvas's size clears it: draw before the browser shows the empty one.
    if (this.frames) this.draw();
    else this.invalidate();
  }

  private readonly onLost = (): void => {
    this.lost = true;
    this.contextChanged(true);
  };

  private readonly onRestored = (): void => {
    this.lost = false;
    this.renderer.setClearColor(this.clear, 1); // three.js clears a context that comes back in black
    this.contextChanged(false);
    this.invalidate();
  };
}

/** Whether the processor draws what a graphics card would. */
function drawsInSoftware(): boolean {
  const context = document.createElement('canvas').getContext('webgl2');
  const about = context?.getExtension('WEBGL_debug_renderer_info');
  const name = String((about && context?.getParameter(about.UNMASKED_RENDERER_WEBGL)) ?? '');
  context?.getExtension('WEBGL_lose_context')?.loseContext(); // browsers keep few contexts, and free them late
  return SOFTWARE.test(name);
}

/** True where the visitor asked for no motion. */
export function still(): boolean {
  return window.matchMedia('(prefers-reduced-motion: reduce)').matches;
}

/**
 * A mover that carries `step` from 0 to 1, eased, over `ms` from now on, however slow frames are; at once where motion is
 * not wanted.
 */
export function tween(stage: Stage, ms: number, step: (part: number) => void, done?: () => void): Mover {
  const begun = performance.now();
  const mover: Mover = (now) => {
    const t = ms > 0 ? Math.min(1, Math.max(0, now - begun) / ms) : 1;
    step(t < 0.5 ? 4 * t ** 3 : 1 - (2 - 2 * t) ** 3 / 2);
    if (t < 1) return true;
    done?.();
    return false;
  };
  if (still() || ms <= 0) {
    step(1);
    done?.();
    stage.invalidate();
  } else {
    stage.move(mover);
  }
  return mover;
}
