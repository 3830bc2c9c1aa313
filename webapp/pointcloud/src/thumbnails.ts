/**
 * Near points turn into their pictures and back: which ones is chosen anew as the camera moves, what lacks its picture
 * is asked for, and a picture grows out of its point once it is there.
 */

import { Matrix4 } from 'three';
import { type Box, around } from './boxes';
import type { Cloud } from './cloud';
import type { Rgb } from './colors';
import type { Disc } from './hover';
import { Layers } from './layers';
import { type Sights, eyeOf } from './picking';
import { type Picture, Pictures } from './pictures';
import { PRESENCE } from './presence';
import { type Mover, type Stage, still } from './stage';
import type { Ids, Store } from './store';
import { GREATEST, LEAST, SWELL, type Tile, Tiles } from './tiles';
import type { Eye, Nearness } from './worker/messages';

const MOST = 300; // shown at a time
const LAYERS = 384; // kept: what is shown and what was, 14 MB
const EVERY = 200; // ms between two choices while the camera moves
const GROWTH = 260; // ms

/** Everything that the pictures of one atlas need; made when the first ones come. */
interface Wall {
  readonly tiles: Tiles;
  readonly layers: Layers;
}

interface Near {
  readonly row: number;
  wanted: boolean;
  /** How far it has grown out of its point, 0-1. */
  grown: number;
}

export class Thumbnails {
  private wall: Wall | null = null;
  private pictures: Pictures | null = null;
  /** The worker's column of rows that have a picture; null until it is there. */
  private pictured: string | null = null;
  private readonly shown = new Map<number, Near>();
  private rims: ReadonlyMap<number, Rgb> = new Map();
  private readonly before = new Matrix4();
  private timer = 0;
  private looks = 0;
  private looked = 0; // ms
  private last = 0; // ms
  private readonly capacity: number;
  private readonly mover: Mover = (now) => this.grow(now);

  /** `taken` tells what no picture may cover; `changed` hears that others are shown. */
  constructor(
    private readonly stage: Stage,
    private readonly cloud: Cloud,
    private readonly sights: () => Sights | null,
    private readonly taken: () => readonly Box[],
    private readonly changed: () => void,
    private readonly failed: (error: unknown) => void,
  ) {
    const context = stage.renderer.getContext() as WebGL2RenderingContext;
    this.capacity = Math.min(LAYERS, context.getParameter(context.MAX_ARRAY_TEXTURE_LAYERS) as number);
  }

  /** Show pictures of this atlas from now on. */
  open(store: Store, ids: Ids): void {
    this.close();
    if (store.meta.pictures === false) return;
    const pictures = new Pictures(store, ids, (some) => this.arrived(some), this.failed);
    this.pictures = pictures;
    store.pictured().then((column) => {
      if (this.pictures !== pictures) return;
      this.pictured = column;
      this.look();
    }, this.failed);
  }

  /** Show none. */
  close(): void {
    window.clearTimeout(this.timer);
    this.timer = 0;
    this.looks += 1;
    this.pictures?.dispose();
    this.pictures = null;
    this.pictured = null;
    this.shown.clear();
    if (this.wall) this.stage.scene.remove(this.wall.tiles.mesh);
    this.wall?.tiles.dispose();
    this.wall = null;
  }

  dispose(): void {
    this.close();
    this.stage.halt(this.mover);
  }

  /** After every frame: look again if the camera has moved, soon or once it rests. */
  follow(): void {
    if (!this.pictured || this.timer || this.seen().equals(this.before)) return;
    const wait = Math.max(0, this.looked + EVERY - performance.now());
    this.timer = window.setTimeout(() => this.look(), wait);
  }

  /** Choose who is shown; while the cloud morphs, that stays as it is. */
  look(): void {
    window.clearTimeout(this.timer);
    this.timer = 0;
    const sights = this.sights();
    const eye = eyeOf(this.stage, this.cloud);
    if (!this.pictured || !sights || !eye) return;
    this.looked = performance.now();
    this.before.copy(this.seen());
    this.looks += 1;
    const look = this.looks;
    sights.store.near(sights.space, eye, this.wish(eye, this.pictured)).then(
      (chosen) => look === this.looks && this.turn([...chosen]), this.failed);
  }

  /** The row whose picture covers (x, y), CSS pixels; -1 if none does. */
  at(x: number, y: number): number {
    let found = -1;
    let least = Infinity;
    for (const { row, depth, box } of this.visible()) {
      if (depth >= least || x < box.left || x > box.right || y < box.top || y > box.bottom) continue;
      least = depth;
      found = row;
    }
    return found;
  }

  /** Whether a row is shown as its picture. */
  has(row: number): boolean {
    return (this.shown.get(row)?.grown ?? 0) > 0.5;
  }

  /** What a hovered picture is on screen; null where the row is shown as a point. */
  disc(row: number): Disc | null {
    const found = this.visible().find((picture) => picture.row === row)?.box;
    if (!found) return null;
    const across = found.right - found.left;
    return { x: found.left + across / 2, y: found.top + across / 2, across, corner: 0.2 };
  }

  /** The pictures shown, and where: CSS pixels from the canvas's corner. */
  visible(): { readonly row: number; readonly depth: number; readonly box: Box }[] {
    const found = [];
    for (const { row } of this.shown.values()) {
      if (!this.has(row)) continue;
      const place = this.cloud.at(row);
      const depth = -place.clone().applyMatrix4(this.stage.camera.matrixWorldInverse).z;
      const side = Math.min(GREATEST, Math.max(LEAST, this.perDepth() / Math.max(depth, 1e-4)));
      const { x, y, ahead } = this.stage.project(place);
      if (ahead) found.push({ row, depth, box: around(x, y, side, side) });
    }
    return found;
  }

  /** Rims in other colors: the one under the pointer, the selection, its neighbors. */
  frame(rims: ReadonlyMap<number, Rgb>): void {
    this.rims = rims;
    this.draw();
    this.stage.invalidate();
  }

  /** The context is lost, and with it the graphics card's copies. */
  lose(): void {
    this.wall?.tiles.lose();
  }

  resize(): void {
    this.wall?.tiles.resize(this.stage.width, this.stage.height, this.stage.ratio);
  }

  /** Draw them where their points now are. */
  private draw(): void {
    const { wall } = this;
    if (!wall) return;
    const tiles: Tile[] = [];
    const tones = this.cloud.tones();
    for (const { row, grown } of this.shown.values()) {
      const layer = wall.layers.of(row);
      if (grown === 0 || layer === undefined) continue;
      const tone = tones.subarray(4 * row, 4 * row + 4);
      const eased = grown * grown * (3 - 2 * grown);
      tiles.push({ at: this.cloud.at(row), layer, grown: eased, tone, rim: this.rims.get(row) ?? null });
    }
    wall.tiles.show(tiles);
  }

  /** Let these be shown, and what is shown beside them no more. */
  private turn(chosen: readonly number[]): void {
    const wanted = new Set(chosen);
    for (const tile of this.shown.values()) tile.wanted = wanted.has(tile.row);
    for (const row of chosen) {
      if (!this.shown.has(row)) this.shown.set(row, { row, wanted: true, grown: 0 });
      this.wall?.layers.touch(row);
    }
    this.pictures?.want(chosen.filter((row) => !this.wall?.layers.has(row)));
    this.stir();
  }

  private wish(eye: Eye, pictured: string): Nearness {
    const { x, y, width, height } = this.stage.free;
    return {
      side: SWELL * eye.diameter,
      least: LEAST,
      greatest: GREATEST,
      most: Math.min(MOST, this.capacity),
      present: PRESENCE.soft,
      held: [...this.shown.values()].filter((tile) => tile.wanted).map((tile) => tile.row),
      pictured,
      free: around(x, y, width, height),
      taken: this.taken(),
    };
  }

  /** What the camera sees: the scene to clip space. */
  private seen(): Matrix4 {
    const { camera } = this.stage;
    return new Matrix4().multiplyMatrices(camera.projectionMatrix, camera.matrixWorldInverse);
  }

  /** A picture's side at depth 1, CSS pixels. */
  private perDepth(): number {
    return (SWELL * this.cloud.uniforms.pointSize.value * this.stage.pixelsPerUnit) / this.stage.ratio;
  }

  private arrived(pictures: readonly Picture[]): void {
    const { tiles, layers } = this.wall ?? this.hang();
    const bare = pictures.filter(({ pixels }) => !pixels).map(({ row }) => row);
    for (const { row, pixels } of pictures) {
      const layer = pixels && layers.take(row, (other) => this.shown.has(other));
      // Where all layers are in view, it is asked for again once the camera moves.
      if (pixels && layer !== null) tiles.write(layer, pixels);
    }
    this.stir();
    const { store } = this.sights() ?? {};
    if (!bare.length || !this.pictured || !store) return;
    store.bar(this.pictured, bare).catch(this.failed);
    this.look(); // their places are free for others
  }

  /** Most visits to a large map begin far from every point: nothing is made before the first pictures come. */
  private hang(): Wall {
    this.wall = { tiles: new Tiles(this.cloud, this.capacity), layers: new Layers(this.capacity) };
    this.resize();
    this.stage.scene.add(this.wall.tiles.mesh);
    return this.wall;
  }

  private stir(): void {
    this.last = 0;
    this.stage.move(this.mover);
  }

  /** A little more of each picture that is wanted and there, a little less of each that is not. */
  private grow(now: number): boolean {
    const part = still() ? 1 : this.last ? Math.min(1, (now - this.last) / GROWTH) : 0.05;
    this.last = now;
    let moving = false;
    let others = false;
    for (const tile of this.shown.values()) {
      const had = this.has(tile.row);
      const goal = tile.wanted && this.wall?.layers.has(tile.row) ? 1 : 0;
      tile.grown = goal ? Math.min(1, tile.grown + part) : Math.max(0, tile.grown - part);
      others ||= had !== this.has(tile.row);
      moving ||= tile.grown !== goal;
      if (!tile.wanted && tile.grown === 0) this.shown.delete(tile.row);
    }
    this.draw();
    if (others) this.changed();
    return moving;
  }
}
