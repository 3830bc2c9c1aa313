/** What the map tells the page: never more often than the page can use, never the same view twice. */

import { rounded } from './camera';
import type { CommandName, SetProps, View } from './props';

const HOVER_EVERY = 150; // ms between two words about what is hovered

export class Voice {
  private lastView: View | null = null;
  private lastNonce = 0;
  private hoveredId: number | null = null;
  private timer = 0;

  constructor(private readonly tell: SetProps) {}

  clicked(id: number): void {
    this.tell({ clicked: { id, nonce: this.nonce() } });
  }

  command(name: CommandName): void {
    this.tell({ command: { name, nonce: this.nonce() } });
  }

  ready(points: number, ms: number, bytes: number): void {
    this.tell({ ready: { points, ms: Math.round(ms), bytes } });
  }

  /** The newest id wins; null means that nothing is under the pointer. */
  hovered(id: number | null): void {
    if (id === this.hoveredId) return;
    this.hoveredId = id;
    if (this.timer) return;
    this.timer = window.setTimeout(() => {
      this.timer = 0;
      this.tell({ hovered: this.hoveredId });
    }, HOVER_EVERY);
  }

  /** The camera rests here. */
  view(view: View): void {
    const short = rounded(view);
    if (this.knows(short)) return;
    this.lastView = short;
    this.tell({ view: short });
  }

  /** The page has this view already: it asked for it, or it stands at the start. */
  heard(view: View): void {
    this.lastView = rounded(view);
  }

  /** Whether a view is the one last spoken of, to a thousandth. */
  knows(view: View): boolean {
    const last = this.lastView;
    return last !== null && near(view.position, last.position) && near(view.target, last.target);
  }

  nonce(): number {
    this.lastNonce = Math.max(Date.now(), this.lastNonce + 1);
    return this.lastNonce;
  }

  dispose(): void {
    window.clearTimeout(this.timer);
  }
}

function near(a: readonly number[], b: readonly number[]): boolean {
  return a.every((x, i) => Math.abs(x - (b[i] ?? 0)) <= 1e-3);
}
