/** Cluster names above the cloud. They never cover each other: the larger cluster's name goes first. */

import { Vector3 } from 'three';
import type { Stage } from './stage';

/** A name at a place, scene units; `size` in pictures. */
export interface Name {
  readonly text: string;
  readonly at: Vector3;
  readonly size: number;
  readonly color: string;
}

/** A box on screen, CSS pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

interface Tag {
  readonly name: Name;
  readonly element: HTMLElement;
  readonly width: number;
  readonly height: number;
  shown: boolean;
}

const CLEAR = 12; // CSS pixels kept free around what leads
const GAP = 6; // CSS pixels kept free around a name
const RAISED = 17; // CSS pixels from a place up to the middle of its name, so that a small cluster stays in sight
const MOST = 40;

export class Labels {
  private readonly layer = document.createElement('div');
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
    const drafts = [...names].sort((a, b) => b.size - a.size).map((name) => ({ name, element: this.element(name) }));
    // One layout for all of them: append first, measure afterwards.
    this.tags = drafts.map(({ name, element }) => ({
      name, element, width: element.offsetWidth, height: element.offsetHeight, shown: false,
    }));
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
    const taken = [...boxes, ...places.map((place) => {
      const { x, y } = this.stage.project(spot.copy(place));
      return around(x, y, 2 * CLEAR, 2 * CLEAR);
    })];
    const most = taken.length + MOST;
    // What is shown goes before what is not, so that names of like size do not take turns while the camera moves.
    const rank = (tag: Tag): number => tag.name.size * (tag.shown ? 1.25 : 1);
    for (const tag of [...this.tags].sort((a, b) => rank(b) - rank(a))) {
      const { x, y, ahead } = this.stage.project(spot.copy(tag.name.at));
      const box = around(x, y - RAISED, tag.width, tag.height);
      const inside = box.left > 0 && box.top > 0 && box.right < this.stage.width && box.bottom < this.stage.height;
      const room = taken.length < most && !taken.some((other) => overlap(box, other));
      tag.shown = !this.veiled && ahead && inside && room;
      tag.element.style.opacity = tag.shown ? String(this.clarity(tag.name.at)) : '0';
      if (!tag.shown) continue;
      taken.push(box);
      tag.element.style.transform = `translate(${Math.round(x - tag.width / 2)}px, ${Math.round(y - RAISED - tag.height / 2)}px)`;
    }
  }

  /** What is shown now: for the saved picture, and for tests. */
  visible(): { readonly name: Name; readonly box: Box; readonly opacity: number }[] {
    const origin = this.layer.getBoundingClientRect();
    return this.tags.filter((tag) => tag.shown).map((tag) => {
      const box = tag.element.getBoundingClientRect();
      const left = box.left - origin.left;
      const top = box.top - origin.top;
      return {
        name: tag.name,
        box: { left, top, right: left + tag.width, bottom: top + tag.height },
        opacity: Number(tag.element.style.opacity),
      };
    });
  }

  dispose(): void {
    this.layer.remove();
    this.tags = [];
  }

  /** Names far behind are fainter, as points are. */
  private clarity(at: Vector3): number {
    const far = at.distanceTo(this.stage.camera.position);
    const [begin, end] = [2, 5];
    const clear = 1 - 0.4 * Math.min(1, Math.max(0, (far - begin) / (end - begin)));
    return Math.round(100 * clear * (this.hushed ? 0.55 : 1)) / 100;
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

/** The box of a name around a place, with its gap. */
export function around(x: number, y: number, width: number, height: number): Box {
  return {
    left: x - width / 2 - GAP, top: y - height / 2 - GAP, right: x + width / 2 + GAP, bottom: y + height / 2 + GAP,
  };
}

export function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
