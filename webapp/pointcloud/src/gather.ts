/** Selecting many points: the line drawn around them, what it holds, and its file. */

import { offer } from './capture';
import type { Cloud } from './cloud';
import { Lasso } from './lasso';
import { type Sights, eyeOf } from './picking';
import type { Insets, Texts } from './props';
import { type Format, Selection } from './selection';
import type { Stage } from './stage';

export interface Surroundings {
  /** Where to look; null while there is nothing to select from. */
  readonly sights: () => Sights | null;
  /** The address of the filter's answer, of which the lasso takes; null takes of all points. */
  readonly filter: () => string | null;
  /** A line is begun: the pointer is not the map's any more. */
  readonly begun: () => void;
  /** What the lasso holds stands out, or no longer. */
  readonly selected: (some: boolean) => void;
  readonly failed: (error: unknown) => void;
}

export class Gatherer {
  private readonly lasso: Lasso;
  private readonly panel: Selection;
  /** One bit a row; null where nothing is selected. */
  private mask: Uint8Array<ArrayBuffer> | null = null;
  private letGo = new AbortController();

  constructor(
    private readonly host: HTMLElement, private readonly stage: Stage, private readonly cloud: Cloud,
    private readonly around: Surroundings,
  ) {
    this.lasso = new Lasso(host, stage, (line) => void this.surround(line), around.begun);
    this.panel = new Selection(host, this.lasso.button, (format) => this.save(format), () => this.clear());
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

  /** Let go of what is selected; false if nothing was. */
  clear(): boolean {
    const some = this.mask !== null;
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
    try {
      const filter = this.around.filter();
      const within = filter === null ? null : await sights.store.matches(filter);
      const { mask, count, ms } = await sights.store.lasso(sights.space, eye, polygon, within);
      if (this.around.sights()?.store !== sights.store) return; // another version of the atlas has come
      this.host.dataset['lassoMs'] = ms.toFixed(1);
      this.hold(count ? mask : null, count);
    } catch (error) {
      this.around.failed(error);
    }
  }

  /** Hold a selection of `count` pictures; null says nothing of a count. */
  private hold(mask: Uint8Array<ArrayBuffer> | null, count: number | null): void {
    const before = this.mask;
    this.letGo.abort();
    this.letGo = new AbortController();
    this.mask = mask;
    this.panel.show(count);
    if (mask || before) this.around.selected(mask !== null);
  }

  private async save(format: Format): Promise<void> {
    const sights = this.around.sights();
    if (!this.mask || !sights) return;
    offer(await sights.store.file(this.mask, sights.space, format, this.letGo.signal), `selection.${format}`);
  }
}
