/** The lasso's button, and the small panel that says how much was selected, saves it and lets go of it. */

import { count } from './counts';
import type { Insets, Texts } from './props';
import type { Receipt } from './received';

const FORMATS = ['csv', 'jsonl', 'parquet'] as const;
export type Format = (typeof FORMATS)[number];

/** What the panel says: the name of its text, and what fills the text's blanks. */
interface Words {
  readonly text: string;
  readonly blanks?: Readonly<Record<string, string>>;
}

export interface Deeds {
  /** Make the file of one format and offer it; it may take a while, which `heard` is told of, and may fail. */
  readonly save: (format: Format, heard: (receipt: Receipt) => void) => Promise<Receipt>;
  /** Give up a file that is being made. */
  readonly giveUp: () => void;
  readonly clear: () => void;
}

export class Selection {
  private readonly bar = document.createElement('div');
  /** Always there, so that a screen reader says what changes in it. */
  private readonly panel = document.createElement('p');
  private readonly wait = document.createElement('progress');
  private readonly deeds = document.createElement('div');
  private readonly files = FORMATS.map((format) => button(() => void this.save(format)));
  private readonly cancel = button(() => this.does.giveUp());
  private readonly clear = button(() => this.does.clear());
  private texts: Texts = {};
  private words: Words | null = null;
  /** How many pictures are selected; null where nothing is. */
  private held: number | null = null;
  private drawing = false;
  private saves = 0;

  constructor(host: HTMLElement, lasso: HTMLElement, private readonly does: Deeds) {
    this.bar.className = 'pointcloud-selection';
    this.panel.className = 'pointcloud-selected';
    this.panel.setAttribute('role', 'status');
    this.deeds.append(...this.files, this.cancel, this.clear);
    this.bar.append(lasso, this.panel, this.wait, this.deeds);
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
    this.cancel.textContent = texts['selectionCancel'] ?? '';
    this.say(this.words);
  }

  /** Stand in the corner of what no panel covers. */
  inset({ left, top }: Insets): void {
    this.bar.style.left = `${left + 12}px`;
    this.bar.style.top = `${top + 12}px`;
  }

  /** Whether it says anything that Clear would take away. */
  get open(): boolean {
    return this.words !== null && !this.drawing;
  }

  /** How many pictures are selected; null where nothing is. */
  show(held: number | null): void {
    this.saves += 1; // a file that is being made is not of these
    this.held = held;
    this.rest();
  }

  /** While a line is drawn it says how. */
  draw(drawing: boolean): void {
    if (this.drawing === drawing) return;
    this.drawing = drawing;
    this.rest();
  }

  /** No line could be followed. */
  fail(): void {
    this.held = null;
    this.say({ text: 'lassoFailed' });
  }

  dispose(): void {
    this.bar.remove();
  }

  private async save(format: Format): Promise<void> {
    this.saves += 1;
    const turn = this.saves;
    const heard = (words: Words | null, busy: boolean): void => {
      if (turn === this.saves) this.say(words, busy);
    };
    heard({ text: 'selectionSaving' }, true);
    try {
      const { rows, leftOut } = await this.does.save(format, ({ bytes, rows: all }) => heard(
        { text: 'selectionComing', blanks: { count: count(all), megabytes: count(bytes / 1e6, 1) } }, true));
      heard({
        text: leftOut ? 'selectionSavedBut' : 'selectionSaved', blanks: { count: count(rows), left: count(leftOut) },
      }, false);
    } catch (error) {
      const givenUp = error instanceof DOMException && error.name === 'AbortError';
      if (givenUp) heard(this.counted(), false);
      else heard({ text: 'selectionFailed' }, false);
    }
  }

  /** Say the count, or how a line is drawn. */
  private rest(): void {
    this.say(this.drawing ? { text: 'lassoHint' } : this.counted());
  }

  private counted(): Words | null {
    if (this.held === null) return null;
    return this.held ? { text: 'selectionCount', blanks: { count: count(this.held) } } : { text: 'selectionNone' };
  }

  private say(words: Words | null, busy = false): void {
    this.words = words;
    let said = words ? (this.texts[words.text] ?? '') : '';
    for (const [name, value] of Object.entries(words?.blanks ?? {})) said = said.replace(`{${name}}`, value);
    if (this.panel.textContent !== said) this.panel.textContent = said;
    this.wait.hidden = !busy;
    this.wait.setAttribute('aria-label', said);
    this.cancel.hidden = !busy;
    for (const each of this.files) {
      each.disabled = busy;
      each.hidden = !this.held;
    }
    this.clear.hidden = busy || !this.open;
    this.deeds.hidden = !words || this.drawing;
  }
}

function button(pressed: () => void): HTMLButtonElement {
  const made = document.createElement('button');
  made.type = 'button';
  made.addEventListener('click', pressed);
  return made;
}
