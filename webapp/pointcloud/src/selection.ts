/** The lasso's button, and the small panel that says how much was selected, saves it and lets go of it. */

import type { Insets, Texts } from './props';

const FORMATS = ['csv', 'jsonl', 'parquet'] as const;
export type Format = (typeof FORMATS)[number];

export class Selection {
  private readonly bar = document.createElement('div');
  private readonly panel = document.createElement('div');
  private readonly words = document.createElement('p');
  private readonly deeds = document.createElement('div');
  private readonly files = FORMATS.map((format) => button(() => void this.save(format)));
  private readonly clear = button(() => this.cleared());
  private texts: Texts = {};
  private count: number | null = null;

  /** `saved` makes the file of one format; it may take a while, and may fail. */
  constructor(
    host: HTMLElement, lasso: HTMLElement,
    private readonly saved: (format: Format) => Promise<void>, private readonly cleared: () => void,
  ) {
    this.bar.className = 'pointcloud-selection';
    this.panel.className = 'pointcloud-selected';
    this.panel.setAttribute('role', 'status');
    this.panel.append(this.words);
    this.deeds.append(...this.files, this.clear);
    this.bar.append(lasso, this.panel, this.deeds);
    host.append(this.bar);
    this.show(null);
  }

  speak(texts: Texts): void {
    this.texts = texts;
    FORMATS.forEach((format, i) => {
      (this.files[i] as HTMLButtonElement).textContent = texts[format] ?? format;
      (this.files[i] as HTMLButtonElement).title = (texts['selectionSave'] ?? '').replace('{format}', texts[format] ?? '');
    });
    this.clear.textContent = texts['selectionClear'] ?? '';
    this.show(this.count);
  }

  /** Stand in the corner of what no panel covers. */
  inset({ left, top }: Insets): void {
    this.bar.style.left = `${left + 12}px`;
    this.bar.style.top = `${top + 12}px`;
  }

  /** How many pictures are selected; null where nothing is. */
  show(count: number | null): void {
    this.count = count;
    this.panel.hidden = count === null;
    this.deeds.hidden = !count;
    const said = count === 0 ? this.texts['selectionNone'] : this.texts['selectionCount'];
    this.words.textContent = (said ?? '').replace('{count}', (count ?? 0).toLocaleString());
  }

  dispose(): void {
    this.bar.remove();
  }

  private async save(format: Format): Promise<void> {
    this.say('selectionSaving', true);
    try {
      await this.saved(format);
      this.say(null, false);
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') this.say(null, false);
      else this.say('selectionFailed', false);
    }
  }

  /** Say something else than the count; null says the count again. */
  private say(text: string | null, busy: boolean): void {
    for (const each of this.files) each.disabled = busy;
    if (text === null) this.show(this.count);
    else this.words.textContent = this.texts[text] ?? '';
  }
}

function button(pressed: () => void): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.addEventListener('click', pressed);
  return made;
}
