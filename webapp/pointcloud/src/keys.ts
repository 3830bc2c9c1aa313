/** The keyboard: which key does what, and the list of them that `?` opens. */

import type { Texts } from './props';

export type Action =
  | 'left' | 'right' | 'up' | 'down' | 'panLeft' | 'panRight' | 'panUp' | 'panDown' | 'nearer' | 'farther'
  | 'fly' | 'reset' | 'pick' | 'next' | 'previous' | 'search' | 'clear' | 'help' | 'lasso';

const KEYS: Readonly<Record<string, Action>> = {
  ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'up', ArrowDown: 'down',
  'Shift+ArrowLeft': 'panLeft', 'Shift+ArrowRight': 'panRight', 'Shift+ArrowUp': 'panUp', 'Shift+ArrowDown': 'panDown',
  a: 'panLeft', d: 'panRight', w: 'panUp', s: 'panDown',
  '+': 'nearer', '=': 'nearer', '-': 'farther', '_': 'farther',
  f: 'fly', r: 'reset', l: 'lasso', Enter: 'pick', ']': 'next', '[': 'previous', '/': 'search', Escape: 'clear', '?': 'help',
};

/** The list: keys as they are printed, and the name of their text. */
const LIST: readonly (readonly [string, string])[] = [
  ['← → ↑ ↓', 'keyOrbit'], ['+ −', 'keyZoom'], ['W A S D', 'keyPan'], ['Enter', 'keyPick'], ['L', 'keyLasso'], ['F', 'keyFly'],
  ['R', 'keyReset'], ['[ ]', 'keyNeighbors'], ['/', 'keySearch'], ['Esc', 'keyClear'], ['?', 'keyHelp'],
];

/** The action of a key press, undefined if it is not ours. */
export function action(event: KeyboardEvent): Action | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return (event.shiftKey ? KEYS[`Shift+${key}`] : undefined) ?? KEYS[key];
}

export class KeyList {
  private readonly dialog = document.createElement('dialog');

  constructor(private readonly host: HTMLElement) {
    this.dialog.className = 'pointcloud-keys';
    // A click beside the list lands on the dialog itself.
    this.dialog.addEventListener('click', (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener('keydown', (event) => {
      event.stopPropagation();
      if (event.key === '?') this.dialog.close();
    });
    this.dialog.addEventListener('close', () => this.host.focus());
    host.append(this.dialog);
  }

  toggle(texts: Texts): void {
    if (this.dialog.open) {
      this.dialog.close();
      return;
    }
    const title = document.createElement('h2');
    title.textContent = texts['keysTitle'] ?? '';
    const list = document.createElement('dl');
    for (const [keys, name] of LIST) {
      const term = document.createElement('dt');
      for (const key of keys.split(' ')) {
        const cap = document.createElement('kbd');
        cap.textContent = key;
        term.append(cap);
      }
      const meaning = document.createElement('dd');
      meaning.textContent = texts[name] ?? '';
      list.append(term, meaning);
    }
    const close = document.createElement('button');
    close.type = 'button';
    close.textContent = texts['close'] ?? '';
    close.addEventListener('click', () => this.dialog.close());
    const body = document.createElement('div');
    body.append(title, list, close);
    this.dialog.replaceChildren(body);
    this.dialog.setAttribute('aria-label', texts['keysTitle'] ?? '');
    this.dialog.showModal();
  }

  dispose(): void {
    this.dialog.remove();
  }
}
