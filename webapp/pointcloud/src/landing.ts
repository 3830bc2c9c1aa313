/** Where generated pictures land: the path that grows there, and the picture itself above its star. */

import { Vector3 } from 'three';
import type { Box } from './boxes';
import { type Mover, type Stage, still } from './stage';

const CATCH_UP = 220; // ms in which the drawn path makes up for two thirds of what it lacks
const SLOWEST = 1 / 450; // steps a ms, so that the last bit of the way does not crawl

/**
 * Grows a path step by step, so that the eye can follow it. It runs after its goal instead of starting anew with
 * every step: steps may come faster than any movement between two of them would take.
 */
export class Growth {
  /** The step that the drawn path has reached; a fraction stands between two. */
  reached = 0;
  private steps = 0;
  private before = 0;
  private readonly mover: Mover = (now) => this.advance(now);

  constructor(private readonly stage: Stage, private readonly redraw: () => void) {}

  /** Tell how many steps there are now; fewer than before begin a new path. */
  to(steps: number): void {
    if (steps === this.steps) return;
    if (steps < this.steps) this.reached = 0;
    this.steps = steps;
    if (still()) this.reached = this.goal;
    this.before = this.before || performance.now();
    this.stage.move(this.mover);
  }

  private get goal(): number {
    return Math.max(0, this.steps - 1);
  }

  private advance(now: number): boolean {
    const ms = Math.max(0, now - this.before);
    const lack = this.goal - this.reached;
    this.reached = Math.min(this.goal, this.reached + Math.max(lack * (1 - Math.exp(-ms / CATCH_UP)), ms * SLOWEST));
    this.redraw();
    const arrived = this.reached === this.goal;
    this.before = arrived ? 0 : now;
    return !arrived;
  }
}

const SIDE = 84; // CSS pixels
const SMALL = 46; // CSS pixels, of a way beside the first
const RAISED = 26; // CSS pixels between the star's middle and the picture's lower edge

/** A picture and the place that it stands above. */
export interface Standing {
  readonly at: Vector3;
  readonly url: string;
}

/** Pictures standing above their places: the generated one, or one for each way that is looked at. */
export class Billboards {
  private boards: Billboard[] = [];

  constructor(private readonly host: HTMLElement, private readonly stage: Stage) {}

  /** Let these stand, the first of them large. */
  show(all: readonly Standing[], accent: string): void {
    all.forEach(({ at, url }, i) => {
      const board = this.boards[i] ?? new Billboard(this.host, this.stage, i === 0 ? SIDE : SMALL);
      this.boards[i] = board;
      board.show(at, url, accent);
    });
    for (const board of this.boards.splice(all.length)) board.dispose();
  }

  follow(): void {
    for (const board of this.boards) board.follow();
  }

  /** Where pictures stand, as what nothing else may cover. */
  boxes(): Box[] {
    return this.boards.flatMap((board) => board.boxes());
  }

  /** The first, where it can be seen. */
  visible(): { readonly image: HTMLImageElement; readonly box: Box } | null {
    return this.boards[0]?.visible() ?? null;
  }

  dispose(): void {
    for (const board of this.boards) board.dispose();
    this.boards = [];
  }
}

/** A picture, standing above its place. */
class Billboard {
  private readonly image = document.createElement('img');
  private at: Vector3 | null = null;
  private url = '';

  constructor(host: HTMLElement, private readonly stage: Stage, private readonly side: number) {
    this.image.className = 'pointcloud-landing';
    this.image.style.width = `${side}px`;
    this.image.style.height = `${side}px`;
    this.image.alt = ''; // the page's own panel names and describes it
    this.image.addEventListener('load', () => this.follow());
    host.append(this.image);
    this.follow();
  }

  show(at: Vector3, url: string, accent: string): void {
    this.at = at;
    if (url !== this.url) {
      this.url = url;
      this.image.src = url;
    }
    this.image.style.borderColor = accent;
    this.follow();
  }

  follow(): void {
    const box = this.box();
    this.image.style.display = box ? '' : 'none';
    if (box) this.image.style.transform = `translate(${box.left}px, ${box.top}px)`;
  }

  boxes(): Box[] {
    const box = this.box();
    return box ? [box] : [];
  }

  visible(): { readonly image: HTMLImageElement; readonly box: Box } | null {
    const box = this.box();
    return box ? { image: this.image, box } : null;
  }

  dispose(): void {
    this.image.remove();
  }

  private box(): Box | null {
    if (!this.at || !this.image.complete || !this.image.naturalWidth) return null;
    const { x, y, ahead } = this.stage.project(this.at.clone());
    if (!ahead || x < 0 || y < 0 || x > this.stage.width || y > this.stage.height) return null;
    const left = Math.round(x - this.side / 2);
    const top = Math.round(y - RAISED - this.side);
    return { left, top, right: left + this.side, bottom: top + this.side };
  }
}
