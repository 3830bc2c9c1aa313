/**
 * What hovering shows: a ring around the point at once, and beside it a card with thumbnail and caption. Both lie above
 * the canvas, so that hovering draws no frame. Captions are a stranger's words: text, never HTML.
 */

import type { Store } from './store';
import type { Texts } from './props';

const WAIT = 90; // ms the pointer stays before the card is fetched
const KEPT = 400; // records kept

/** A point or a picture on screen: its middle and its size, CSS pixels from the host's corner. */
export interface Disc {
  readonly x: number;
  readonly y: number;
  readonly across: number;
  /** The radius of its corners as a share of half its size: 1 is a disc. */
  readonly corner: number;
}

export class HoverCard {
  private readonly ring = document.createElement('div');
  private readonly card = document.createElement('div');
  private readonly picture = document.createElement('img');
  private readonly caption = document.createElement('p');
  private readonly captions = new Map<number, string>();
  private timer = 0;
  private shown: number | null = null;

  constructor(private readonly host: HTMLElement, private texts: Texts) {
    this.card.className = 'pointcloud-card';
    this.card.setAttribute('aria-hidden', 'true');
    this.picture.alt = '';
    this.picture.decoding = 'async';
    this.card.append(this.picture, this.caption);
    this.card.style.display = 'none';
    this.ring.className = 'pointcloud-ring';
    this.ring.style.display = 'none';
    host.append(this.ring, this.card);
  }

  speak(texts: Texts): void {
    this.texts = texts;
  }

  /** Ring a picture's point and show its card beside it. */
  show(id: number, disc: Disc, store: Store): void {
    const side = Math.round(Math.max(16, disc.across + 9));
    this.ring.style.width = this.ring.style.height = `${side}px`;
    this.ring.style.borderRadius = `${50 * disc.corner}%`;
    this.ring.style.transform = `translate(${disc.x - side / 2}px, ${disc.y - side / 2}px)`;
    this.ring.style.display = '';
    if (id !== this.shown) {
      window.clearTimeout(this.timer);
      this.card.style.display = 'none';
      this.shown = id;
      this.timer = window.setTimeout(() => void this.fill(id, disc, store), WAIT);
    }
  }

  hide(): void {
    window.clearTimeout(this.timer);
    this.shown = null;
    this.card.style.display = 'none';
    this.ring.style.display = 'none';
  }

  dispose(): void {
    window.clearTimeout(this.timer);
    this.card.remove();
    this.ring.remove();
  }

  private async fill(id: number, { x, y }: Disc, store: Store): Promise<void> {
    const picture = new Image();
    const address = store.thumbnail(id);
    if (address) picture.src = address;
    const seen = address ? picture.decode().catch(() => undefined) : undefined;
    const [caption] = await Promise.all([this.captionOf(id, store), seen]);
    if (this.shown !== id) return;
    this.picture.src = picture.src;
    this.picture.style.display = picture.naturalWidth ? '' : 'none';
    this.caption.textContent = caption;
    this.card.style.display = '';
    this.place(x, y);
  }

  private async captionOf(id: number, store: Store): Promise<string> {
    const known = this.captions.get(id);
    if (known !== undefined) return known;
    try {
      const record = await store.record(id);
      const caption = typeof record['caption'] === 'string' && record['caption'] ? record['caption'] : null;
      const words = caption ?? this.texts['noCaption'] ?? '';
      if (this.captions.size >= KEPT) this.captions.delete(this.captions.keys().next().value as number);
      this.captions.set(id, words);
      return words;
    } catch {
      return this.texts['noRecord'] ?? '';
    }
  }

  /** Beside the pointer, inside the host. */
  private place(x: number, y: number): void {
    const { clientWidth, clientHeight } = this.host;
    const { offsetWidth, offsetHeight } = this.card;
    const left = x + 18 + offsetWidth > clientWidth ? x - 18 - offsetWidth : x + 18;
    const top = Math.min(Math.max(8, y - offsetHeight / 2), clientHeight - offsetHeight - 8);
    this.card.style.transform = `translate(${Math.round(Math.max(8, left))}px, ${Math.round(top)}px)`;
  }
}
