/** Selecting many points: the line drawn around them, what it holds, and its file. */

import { offer } from './capture';
import type { Cloud } from './cloud';
import { Lasso } from './lasso';
import { type Sights, eyeOf } from './picking';
import type { Insets, Texts } from './props';
import { type Receipt, received } from './received';
import { type Format, Selection } from './selection';
import type { Stage } from './stage';

export interface Surroundings {
  /** Where to look; null while there is nothing to select from. */
  readonly sights: () => Sights | null;
  /** The address of the filter's answer, of which the lasso takes: it excludes, a search ranks. null takes of all. */
  readonly filter: () => string | null;
  /** A line is begun: the pointer is not the map's any more, and the camera stands still. */
  readonly begun: () => void;
  /** What the lasso holds stands out, or no longer. */
  readonly selected: (some: boolean) => void;
}

export class Gatherer {
  private readonly lasso: Lasso;
  private readonly panel: Selection;
  /** One bit a row; null where nothing is selected. */
  private mask: Uint8Array<ArrayBuffer> | null = null;
  private letGo = new AbortController();
  /** Raised by every line and whenever what was selected is let go: an answer to an earlier line is dropped. */
  private lines = 0;

  constructor(
    private readonly host: HTMLElement, private readonly stage: Stage, private readonly cloud: Cloud,
    private readonly around: Surroundings,
  ) {
    this.lasso = new Lasso(host, stage, {
      begun: around.begun,
      switched: (on) => this.panel.draw(on),
      closed: (line) => void this.surround(line),
    });
    this.panel = new Selection(host, this.lasso.button, {
      save: (format, heard) => this.save(format, heard), giveUp: () => this.giveUp(), clear: () => void this.clear(),
    });
  }

  speak(texts: Texts): void {
    this.lasso.speak(texts);
    this.panel.speak(texts);
  }

  inset(insets: Insets): void {
    this.panel.inset(insets);
  }

  toggle(): void {
    this.lasso.toggle();
  }

  /** The camera or the map has changed under a line. */
  moved(): void {
    this.lasso.giveUp();
  }

  /** Let go of what is selected, or of what the panel says; false if there was nothing of either. */
  clear(): boolean {
    const some = this.panel.open;
    this.hold(null, null);
    return some;
  }

  dispose(): void {
    this.letGo.abort();
    this.lasso.dispose();
    this.panel.dispose();
  }

  /** Select what a line goes around; of what a filter shows, if there is one. */
  private async surround(polygon: readonly number[]): Promise<void> {
    const sights = this.around.sights();
    const eye = eyeOf(this.stage, this.cloud);
    if (!sights || !eye) return;
    this.lines += 1;
    const line = this.lines;
    try {
      const filter = this.around.filter();
      const within = filter === null ? null : await sights.store.matches(filter);
      const { mask, count, ms } = await sights.store.lasso(sights.space, eye, polygon, within);
      if (line !== this.lines) return;
      this.host.dataset['lassoMs'] = ms.toFixed(1);
      this.hold(count ? mask : null, count);
    } catch (error) {
      if (line !== this.lines || (error instanceof DOMException && error.name === 'AbortError')) return;
      this.hold(null, null);
      this.panel.fail();
    }
  }

  /** Hold a selection of `count` pictures; null says nothing of a count. */
  private hold(mask: Uint8Array<ArrayBuffer> | null, count: number | null): void {
    const before = this.mask;
    this.lines += 1;
    this.giveUp();
    this.mask = mask;
    this.panel.show(count);
    if (mask || before) this.around.selected(mask !== null);
  }

  /** Give up the file that is being made. */
  private giveUp(): void {
    this.letGo.abort();
    this.letGo = new AbortController();
  }

  private async save(format: Format, heard: (receipt: Receipt) => void): Promise<Receipt> {
    const sights = this.around.sights();
    if (!this.mask || !sights) throw new DOMException('there is nothing to save', 'AbortError');
    const answer = await sights.store.file(this.mask, sights.space, format, this.letGo.signal);
    const saved = await received(answer, heard);
    offer(saved.file, `selection.${format}`);
    return saved;
  }
}
