/** What the map says in the middle of itself: that it loads, that it could not, that it cannot draw here. */

import type { Texts } from './props';

export class Notice {
  private readonly box = document.createElement('div');
  private readonly words = document.createElement('p');
  private readonly detail = document.createElement('small');
  private readonly bar = document.createElement('progress');
  private readonly button = document.createElement('button');
  private retry: (() => void) | null = null;

  constructor(host: HTMLElement) {
    this.box.className = 'pointcloud-notice';
    this.box.setAttribute('role', 'status');
    this.button.type = 'button';
    this.button.addEventListener('click', () => this.retry?.());
    this.box.append(this.words, this.detail, this.bar, this.button);
    host.append(this.box);
    this.hide();
  }

  /** A wait with a name and a bar; `part` is 0-1. */
  progress(texts: Texts, part: number, count: number): void {
    const total = count.toLocaleString();
    this.show((texts['loading'] ?? '').replace('{count}', total));
    this.bar.style.display = '';
    this.bar.max = 1;
    this.bar.value = part;
    this.bar.setAttribute('aria-label', this.words.textContent ?? '');
  }

  /** What happened and what to do, with a detail to copy; `retry` is offered where it makes sense. */
  problem(words: string, detail = '', button = '', retry: (() => void) | null = null): void {
    this.show(words);
    this.box.setAttribute('role', 'alert');
    this.detail.textContent = detail;
    this.retry = retry;
    this.button.textContent = button;
    this.button.style.display = retry ? '' : 'none';
  }

  hide(): void {
    this.box.style.display = 'none';
  }

  dispose(): void {
    this.box.remove();
  }

  private show(words: string): void {
    this.box.style.display = '';
    this.box.setAttribute('role', 'status');
    this.words.textContent = words;
    this.detail.textContent = '';
    this.bar.style.display = 'none';
    this.button.style.display = 'none';
  }
}
