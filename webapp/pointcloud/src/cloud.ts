/**
 * The points: one draw call over quantized positions. A cloud that stands still is drawn by a lean program over
 * positions and tones alone; while positions morph or colors fade, another one reads where they come from as well.
 */

import {
  BufferAttribute, BufferGeometry, Color, DynamicDrawUsage, GLSL3, Points, ShaderMaterial, Vector2, Vector3,
} from 'three';
import type { Disc } from './hover';
import { factor } from './presence';
import { CLOUD_FRAGMENT, MOVING_VERTEX, STANDING_VERTEX } from './shaders';
import type { Stage } from './stage';

/** Diameters on screen, CSS pixels. */
const LEAST = 1.6;
const GREATEST = 15;

/** One space's points, quantized: scene = unit * q. */
export interface Positions {
  readonly array: Int16Array;
  readonly unit: number;
}

/** Where most of a cloud is, scene units. */
export interface Extent {
  readonly center: Vector3;
  readonly radius: number;
}

const SAMPLE = 4096; // rows, evenly over all of them
const MOST = 0.97; // the share of points that counts as most

export class Cloud {
  readonly points: Points<BufferGeometry, ShaderMaterial>;
  /** What all materials over these points share. */
  readonly uniforms = {
    unit: { value: 1 },
    unitFrom: { value: 1 },
    unitTo: { value: 1 },
    morph: { value: 0 },
    fade: { value: 1 },
    pointSize: { value: 0.02 },
    pixelsPerUnit: { value: 1 },
    pixels: { value: new Vector2(LEAST, GREATEST) },
    whole: { value: 0.02 },
    ground: { value: new Color() },
    fog: { value: new Vector2(1, 3) },
  };
  private readonly still = { geometry: new BufferGeometry(), material: this.material(STANDING_VERTEX) };
  private readonly moving = { geometry: new BufferGeometry(), material: this.material(MOVING_VERTEX) };
  private readonly attributes = new Map<Int16Array, BufferAttribute>();
  private tone = toneAttribute(0);
  private toneBefore: BufferAttribute | null = null;
  private from: Positions | null = null;
  private to: Positions | null = null;
  private count = 0;

  constructor() {
    this.points = new Points(this.still.geometry, this.still.material);
    this.points.frustumCulled = false;
  }

  get n(): number {
    return this.count;
  }

  /** Make room for n points in the rest's color, packed, of one presence. */
  allot(n: number, rest: number, presence: number): void {
    this.count = n;
    for (const { geometry } of [this.still, this.moving]) {
      geometry.dispose();
      for (const name of ['position', 'goal', 'tone', 'toneBefore']) geometry.deleteAttribute(name);
      geometry.setDrawRange(0, 0);
    }
    this.attributes.clear();
    this.from = null;
    this.to = null;
    this.tone = toneAttribute(n);
    this.toneBefore = null;
    new Uint32Array(this.tone.array.buffer).fill((rest | (presence << 24)) >>> 0);
    this.uniforms.fade.value = 1;
    // The diameter shrinks with the cube root of the number, as the room for each point does.
    this.uniforms.pointSize.value = Math.min(0.04, Math.max(0.0022, 0.018 * Math.cbrt(4000 / Math.max(1, n))));
  }

  /** Show the first `rows` points of a map that is still arriving. */
  reveal(positions: Positions, rows: number): void {
    this.show(positions);
    const attribute = this.attributes.get(positions.array);
    const shown = this.still.geometry.drawRange.count;
    if (attribute && rows > shown) {
      attribute.addUpdateRange(3 * shown, 3 * (rows - shown));
      attribute.needsUpdate = true;
    }
    for (const { geometry } of [this.still, this.moving]) geometry.setDrawRange(0, Math.min(rows, this.count));
  }

  /** Stand in this map, all at once. */
  show(positions: Positions): void {
    this.morphFrom(positions, positions);
    this.morphed = 0;
  }

  /** Prepare a morph from where the cloud stands to another map; `morphed` carries it through. */
  morphTo(next: Positions): void {
    if (!this.to || next.array === this.to.array) return;
    const turnedBack = this.morphed > 0 && this.from?.array === next.array;
    const done = this.morphed;
    this.morphFrom(this.to, next);
    this.morphed = turnedBack ? 1 - done : 0;
  }

  /** How far the morph is, 0-1. */
  get morphed(): number {
    return this.uniforms.morph.value;
  }

  set morphed(part: number) {
    this.uniforms.morph.value = part;
    this.choose();
  }

  /** The map that the cloud stands in; null while it morphs. */
  get standing(): Positions | null {
    return this.morphed === 0 ? this.from : this.morphed === 1 ? this.to : null;
  }

  /** The tones now shown, or faded to: uint8 (n, 4). */
  tones(): Uint8Array {
    return this.tone.array as Uint8Array;
  }

  /** Fade from what is shown to these tones, uint8 (n, 4); `faded` carries it through. */
  recolor(tones: Uint8Array): void {
    const next = this.toneBefore ?? toneAttribute(this.count);
    (next.array as Uint8Array).set(tones);
    next.needsUpdate = true;
    this.toneBefore = this.tone;
    this.tone = next;
    this.faded = 0;
  }

  set faded(part: number) {
    this.uniforms.fade.value = part;
    this.choose();
  }

  /** Where a row stands now, scene units. */
  at(row: number, out = new Vector3()): Vector3 {
    if (!this.from || !this.to || row < 0 || row >= this.count) return out.set(0, 0, 0);
    const a = this.from;
    const b = this.to;
    const t = this.morphed;
    const coordinate = (axis: number): number =>
      (a.array[3 * row + axis] ?? 0) * a.unit * (1 - t) + (b.array[3 * row + axis] ?? 0) * b.unit * t;
    return out.set(coordinate(0), coordinate(1), coordinate(2));
  }

  /** Where a row is seen and how large, CSS pixels from the canvas's corner. */
  disc(row: number, stage: Stage): Disc {
    const at = this.at(row);
    const depth = -at.clone().applyMatrix4(stage.camera.matrixWorldInverse).z;
    const { pointSize, pixelsPerUnit, pixels } = this.uniforms;
    const size = ((pointSize.value * pixelsPerUnit.value) / Math.max(depth, 1e-4)) * factor(this.tones()[4 * row + 3] ?? 0);
    const { x, y } = stage.project(at);
    return { x, y, across: Math.min(pixels.value.y, Math.max(pixels.value.x, size)) / stage.ratio, corner: 1 };
  }

  /** Where most of the map is that the cloud stands in or goes to. A few strays would else make the rest small. */
  extent(): Extent {
    const center = new Vector3();
    const rows = Math.min(SAMPLE, this.count);
    if (!this.to || !rows) return { center, radius: 1 };
    const { array, unit } = this.to;
    const sample = Array.from({ length: rows }, (_, i) =>
      new Vector3().fromArray(array, 3 * Math.floor((i * this.count) / rows)).multiplyScalar(unit));
    for (const at of sample) center.add(at);
    center.divideScalar(rows);
    const far = sample.map((at) => at.distanceTo(center)).sort((a, b) => a - b);
    return { center, radius: Math.max(0.05, far[Math.floor(MOST * (rows - 1))] ?? 1) };
  }

  /** Follow the canvas. */
  resize({ pixelsPerUnit, ratio, smooth }: Stage): void {
    this.uniforms.whole.value = smooth ? 0.02 : 0.5;
    this.uniforms.pixelsPerUnit.value = pixelsPerUnit;
    this.uniforms.pixels.value.set(LEAST * ratio, GREATEST * ratio);
  }

  dispose(): void {
    for (const { geometry, material } of [this.still, this.moving]) {
      geometry.dispose();
      material.dispose();
    }
  }

  private morphFrom(from: Positions, to: Positions): void {
    this.from = from;
    this.to = to;
    this.uniforms.unitFrom.value = from.unit;
    this.uniforms.unitTo.value = to.unit;
  }

  /** Take the lean program where nothing moves. */
  private choose(): void {
    const { from, to, standing, tone, toneBefore } = this;
    if (!from || !to) return;
    const fades = toneBefore !== null && this.uniforms.fade.value < 1;
    const { geometry, material } = standing && !fades ? this.still : this.moving;
    if (standing && !fades) {
      geometry.setAttribute('position', this.attribute(standing));
      this.uniforms.unit.value = standing.unit;
    } else {
      geometry.setAttribute('position', this.attribute(from));
      geometry.setAttribute('goal', this.attribute(to));
      geometry.setAttribute('toneBefore', toneBefore ?? tone);
    }
    geometry.setAttribute('tone', tone);
    this.points.geometry = geometry;
    this.points.material = material;
  }

  private attribute(positions: Positions): BufferAttribute {
    let attribute = this.attributes.get(positions.array);
    if (!attribute) {
      attribute = new BufferAttribute(positions.array, 3, false);
      this.attributes.set(positions.array, attribute);
    }
    return attribute;
  }

  private material(vertexShader: string): ShaderMaterial {
    return new ShaderMaterial({
      glslVersion: GLSL3, vertexShader, fragmentShader: CLOUD_FRAGMENT, uniforms: this.uniforms, alphaToCoverage: true,
    });
  }
}

/** Room for tones: uint8 (n, 4), normalized. */
function toneAttribute(n: number): BufferAttribute {
  const attribute = new BufferAttribute(new Uint8Array(4 * n), 4, true);
  attribute.setUsage(DynamicDrawUsage);
  return attribute;
}
