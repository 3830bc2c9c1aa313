/**
 * Cluster names above the cloud, in two levels: the fine names of a coarse cluster take its place once the camera is
 * near enough for them to stand apart. They never cover each other: the larger cluster's name goes first.
 */

import { Vector3 } from 'three';
import { type Box, Taken, around } from './boxes';
import { type Group, type Name, grouped } from './refinement';
import type { Stage } from './stage';

interface Tag {
  readonly name: Name;
  readonly width: number;
  element: HTMLElement | null;
  /** Where it is shown; null while it is not. */
  box: Box | null;
}

const CLEAR = 24; // CSS pixels kept free around what leads
const GAP = 6; // CSS pixels kept free around a name
const RAISED = 17; // CSS pixels from a place up to the middle of its name, so that a small cluster stays in sight
const MOST = 40;
const HEIGHT = 20; // CSS pixels; the style sheet has the same, and these
const WIDEST = 220;
const PADDING = 16;
const DOT = 12;
const ELEMENTS = 200; // kept; beyond them the hidden ones are let go
const HOLD = 1.25; // what is shown counts as this much larger, so that names of like size do not take turns

export class Labels {
  private readonly layer = document.createElement('div');
  private readonly pen = document.createElement('canvas').getContext('2d');
  private groups: Group<Tag>[] = [];
  private tags: Tag[] = [];
  private veiled = false;
  private hushed = false;

  constructor(host: HTMLElement, private readonly stage: Stage) {
    this.layer.className = 'pointcloud-labels';
    this.layer.setAttribute('aria-hidden', 'true'); // the page's list of clusters says the same in words
    host.append(this.layer);
  }

  show(names: readonly Name[]): void {
    this.layer.replaceChildren();
    if (this.pen) this.pen.font = `500 12px ${getComputedStyle(this.layer).fontFamily}`;
    this.tags = names.map((name) => ({ name, width: this.width(name.text), element: null, box: null }));
    this.groups = grouped(this.tags);
    this.follow();
  }

  /** Hide all of them while the places they name are moving. */
  veil(veiled: boolean): void {
    this.veiled = veiled;
    this.follow();
  }

  /** Step back while something else leads. */
  hush(hushed: boolean): void {
    this.hushed = hushed;
    this.follow();
  }

  /** Stand where the camera now sees the places, off `places` and `boxes` that must not be covered. */
  follow(places: readonly Vector3[] = [], boxes: readonly Box[] = []): void {
    const spot = new Vector3();
    const taken = new Taken(boxes);
    for (const place of places) {
      const { x, y } = this.stage.project(spot.copy(place));
      taken.add(around(x, y, CLEAR, CLEAR));
    }
    const { free } = this.stage; // a name half behind a panel says nothing
    const room = around(free.x, free.y, free.width - 2 * GAP, free.height - 2 * GAP);
    const shown = new Set<Tag>();
    for (const tag of this.candidates()) {
      if (shown.size === MOST) break;
      const { x, y, ahead } = this.stage.project(spot.copy(tag.name.at));
      const box = this.box(tag, x, y);
      const inside = box.left > room.left && box.top > room.top && box.right < room.right && box.bottom < room.bottom;
      const wide = around(x, y - RAISED, tag.width + 2 * GAP, HEIGHT + 2 * GAP);
      if (!ahead || !inside || taken.meets(wide)) continue;
      tag.box = box;
      shown.add(tag);
      taken.add(wide);
    }
    this.present(shown);
  }

  /** Where names stand now. */
  boxes(): Box[] {
    return this.tags.flatMap(({ box }) => box ?? []);
  }

  /** What is shown now: for the saved picture. */
  visible(): { readonly name: Name; readonly box: Box; readonly opacity: number }[] {
    return this.tags.flatMap(({ name, box }) => (box ? [{ name, box, opacity: this.clarity(name.at) }] : []));
  }

  dispose(): void {
    this.layer.remove();
    this.tags = [];
    this.groups = [];
  }

  /** The names of the level that fits each cluster's distance, in the order in which they get their places. */
  private candidates(): Tag[] {
    if (this.veiled) return [];
    const { camera, pixelsPerUnit, ratio } = this.stage;
    const found = this.groups.flatMap((group) => group.at(camera.position, pixelsPerUnit / ratio));
    const rank = (tag: Tag): number => tag.name.size * (tag.box ? HOLD : 1);
    return found.sort((a, b) => rank(b) - rank(a));
  }

  /** Show these and no others. */
  private present(shown: ReadonlySet<Tag>): void {
    const fresh = [...shown].filter((tag) => !tag.element);
    if (fresh.length && this.layer.childElementCount + fresh.length > ELEMENTS) this.shed(shown);
    for (const tag of fresh) tag.element = this.element(tag.name);
    for (const tag of this.tags) {
      if (!shown.has(tag)) tag.box = null;
      const { element, box } = tag;
      if (!element) continue;
      element.className = box ? 'shown' : '';
      element.style.opacity = box ? String(this.clarity(tag.name.at)) : '0';
      if (box) element.style.transform = `translate(${box.left}px, ${box.top}px)`;
    }
  }

  /** Let the elements of hidden names go. */
  private shed(shown: ReadonlySet<Tag>): void {
    for (const tag of this.tags) {
      if (shown.has(tag)) continue;
      tag.element?.remove();
      tag.element = null;
    }
  }

  private box(tag: Tag, x: number, y: number): Box {
    const left = Math.round(x - tag.width / 2);
    const top = Math.round(y - RAISED - HEIGHT / 2);
    return { left, top, right: left + tag.width, bottom: top + HEIGHT };
  }

  /** The width of a name as the style sheet will show it, without asking for a layout. */
  private width(text: string): number {
    const words = Math.ceil(this.pen?.measureText(text).width ?? WIDEST) + 1;
    return Math.min(WIDEST, words + DOT) + PADDING;
  }

  /** Names far behind are fainter, as points are. */
  private clarity(at: Vector3): number {
    const far = at.distanceTo(this.stage.camera.position);
    const [begin, end] = [2, 5];
    const clear = 1 - 0.4 * Math.min(1, Math.max(0, (far - begin) / (end - begin)));
    return Math.round(20 * clear * (this.hushed ? 0.55 : 1)) / 20; // in steps: most frames change none
  }

  private element(name: Name): HTMLElement {
    const element = document.createElement('span');
    const dot = document.createElement('i');
    dot.style.backgroundColor = name.color;
    const words = document.createElement('b');
    words.textContent = name.text; // a stranger's words: text, never HTML
    element.append(dot, words);
    element.style.opacity = '0';
    this.layer.append(element);
    return element;
  }
}
