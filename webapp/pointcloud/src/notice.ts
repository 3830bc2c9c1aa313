/** What the map says in the middle of itself: that it loads, that it could not, that it cannot draw here. */

import { count } from './counts';
import type { Texts } from './props';

/** Why something is said. Each is said and taken back by itself; of several the first of these is seen. */
const CAUSES = ['context', 'failed', 'webgl', 'loading'] as const;
type Cause = (typeof CAUSES)[number];

interface Said {
  readonly words: string;
  /** 0-1; null where there is nothing to wait for. */
  readonly part: number | null;
  readonly detail: string;
  readonly button: string;
  readonly retry: (() => void) | null;
}

export class Notice {
  private readonly box = document.createElement('div');
  private readonly words = document.createElement('p');
  private readonly detail = document.createElement('small');
  private readonly bar = document.createElement('progress');
  private readonly button = document.createElement('button');
  private readonly said = new Map<Cause, Said>();
  private retry: (() => void) | null = null;

  constructor(host: HTMLElement) {
    this.box.className = 'pointcloud-notice';
    this.button.type = 'button';
    this.button.addEventListener('click', () => this.retry?.());
    this.box.append(this.words, this.detail, this.bar, this.button);
    host.append(this.box);
    this.show();
  }

  /** A wait with a name and a bar; `part` is 0-1. */
  progress(texts: Texts, part: number, pictures: number): void {
    const words = (texts['loading'] ?? '').replace('{count}', count(pictures));
    this.say('loading', { words, part, detail: '', button: '', retry: null });
  }

  /** What happened and what to do, with a detail to copy; `retry` is offered where it makes sense. */
  problem(
    cause: Exclude<Cause, 'loading'>, words: string, detail = '', button = '', retry: (() => void) | null = null,
  ): void {
    this.say(cause, { words, part: null, detail, button, retry });
  }

  /** Take back what was said for a cause. */
  hide(cause: Cause): void {
    if (this.said.delete(cause)) this.show();
  }

  dispose(): void {
    this.box.remove();
  }

  private say(cause: Cause, said: Said): void {
    this.said.set(cause, said);
    this.show();
  }

  private show(): void {
    const cause = CAUSES.find((each) => this.said.has(each));
    const said = cause && this.said.get(cause);
    this.box.style.display = said ? '' : 'none';
    if (!said) return;
    this.box.setAttribute('role', said.part === null ? 'alert' : 'status');
    if (this.words.textContent !== said.words) this.words.textContent = said.words;
    this.detail.textContent = said.detail;
    this.bar.style.display = said.part === null ? 'none' : '';
    this.bar.value = said.part ?? 0;
    this.bar.setAttribute('aria-label', said.words);
    this.retry = said.retry;
    this.button.textContent = said.button;
    this.button.style.display = said.retry ? '' : 'none';
  }
}
