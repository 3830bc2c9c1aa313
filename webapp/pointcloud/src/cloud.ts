/** The points: one draw call over quantized positions, with colors that fade and positions that morph. */

import {
  BufferAttribute, BufferGeometry, Color, DynamicDrawUsage, GLSL3, Points, ShaderMaterial, Vector2, Vector3,
} from 'three';
import { CLOUD_FRAGMENT, CLOUD_VERTEX, PICK_FRAGMENT, PICK_VERTEX } from './shaders';

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

const SAMPLE = 4096; // rows; their order is random, so the first ones are a fair sample
const MOST = 0.97; // the share of points that counts as most

export class Cloud {
  readonly points: Points<BufferGeometry, ShaderMaterial>;
  readonly pickable: Points<BufferGeometry, ShaderMaterial>;
  /** What all materials over these points share. */
  readonly uniforms = {
    unitFrom: { value: 1 },
    unitTo: { value: 1 },
    morph: { value: 0 },
    fade: { value: 1 },
    pointSize: { value: 0.02 },
    pixelsPerUnit: { value: 1 },
    pixels: { value: new Vector2(LEAST, GREATEST) },
    ground: { value: new Color() },
    fog: { value: new Vector2(1, 3) },
  };
  private readonly geometry = new BufferGeometry();
  private readonly attributes = new Map<Int16Array, BufferAttribute>();
  private from: Positions | null = null;
  private to: Positions | null = null;
  private count = 0;

  constructor() {
    this.points = new Points(this.geometry, this.material(CLOUD_VERTEX, CLOUD_FRAGMENT, true));
    this.pickable = new Points(this.geometry, this.material(PICK_VERTEX, PICK_FRAGMENT, false));
    this.points.frustumCulled = false;
    this.pickable.frustumCulled = false;
  }

  get n(): number {
    return this.count;
  }

  /** Make room for n points in the rest's color. */
  allot(n: number, rest: readonly [number, number, number], presence: number): void {
    this.count = n;
    this.geometry.dispose();
    this.geometry.deleteAttribute('position');
    this.geometry.deleteAttribute('goal');
    this.attributes.clear();
    this.from = null;
    this.to = null;
    for (const name of ['tone', 'toneBefore']) {
      const [r, g, b] = rest;
      const same = new Uint32Array(n).fill(new Uint32Array(new Uint8Array([r, g, b, presence]).buffer)[0] ?? 0);
      const tones = new BufferAttribute(new Uint8Array(same.buffer), 4, true);
      tones.setUsage(DynamicDrawUsage);
      this.geometry.setAttribute(name, tones);
    }
    // The diameter shrinks with the cube root of the number, as the room for each point does.
    this.uniforms.pointSize.value = Math.min(0.04, Math.max(0.0022, 0.018 * Math.cbrt(4000 / Math.max(1, n))));
    this.geometry.setDrawRange(0, 0);
  }

  /** Show the first `rows` points of a map that is still arriving. */
  reveal(positions: Positions, rows: number): void {
    this.show(positions);
    const attribute = this.attributes.get(positions.array);
    const shown = this.geometry.drawRange.count;
    if (attribute && rows > shown) {
      attribute.addUpdateRange(3 * shown, 3 * (rows - shown));
      attribute.needsUpdate = true;
    }
    this.geometry.setDrawRange(0, Math.min(rows, this.count));
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
  }

  /** The tones to fill for the next `commit`: uint8 (n, 4). They hold what the last but one held. */
  draft(): Uint8Array {
    return (this.geometry.getAttribute('toneBefore') as BufferAttribute).array as Uint8Array;
  }

  /** The tones now shown. */
  tones(): Uint8Array {
    return (this.geometry.getAttribute('tone') as BufferAttribute).array as Uint8Array;
  }

  /** Make the draft the goal of a fade from what is shown; `faded` carries it through. */
  commit(): void {
    const now = this.geometry.getAttribute('tone');
    const next = this.geometry.getAttribute('toneBefore') as BufferAttribute;
    next.needsUpdate = true;
    this.geometry.setAttribute('tone', next);
    this.geometry.setAttribute('toneBefore', now);
    this.uniforms.fade.value = 0;
  }

  set faded(part: number) {
    this.uniforms.fade.value = part;
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

  /** Where most of the map is that the cloud stands in or goes to. A few strays would else make the rest small. */
  extent(): Extent {
    const center = new Vector3();
    const rows = Math.min(SAMPLE, this.count, this.to ? this.to.array.length / 3 : 0);
    if (!this.to || !rows) return { center, radius: 1 };
    const { array, unit } = this.to;
    const at = (row: number): Vector3 => new Vector3().fromArray(array, 3 * row).multiplyScalar(unit);
    for (let row = 0; row < rows; row += 1) center.add(at(row));
    center.divideScalar(rows);
    const far = Array.from({ length: rows }, (_, row) => at(row).distanceTo(center)).sort((a, b) => a - b);
    return { center, radius: Math.max(0.05, far[Math.floor(MOST * (rows - 1))] ?? 1) };
  }

  /** Follow the canvas: device pixels that a scene unit covers at distance 1, device pixels per CSS pixel. */
  resize(pixelsPerUnit: number, ratio: number): void {
    this.uniforms.pixelsPerUnit.value = pixelsPerUnit;
    this.uniforms.pixels.value.set(LEAST * ratio, GREATEST * ratio);
  }

  dispose(): void {
    this.geometry.dispose();
    this.points.material.dispose();
    this.pickable.material.dispose();
  }

  private morphFrom(from: Positions, to: Positions): void {
    this.from = from;
    this.to = to;
    this.geometry.setAttribute('position', this.attribute(from));
    this.geometry.setAttribute('goal', this.attribute(to));
    this.uniforms.unitFrom.value = from.unit;
    this.uniforms.unitTo.value = to.unit;
  }

  private attribute(positions: Positions): BufferAttribute {
    let attribute = this.attributes.get(positions.array);
    if (!attribute) {
      attribute = new BufferAttribute(positions.array, 3, false);
      this.attributes.set(positions.array, attribute);
    }
    return attribute;
  }

  private material(vertexShader: string, fragmentShader: string, soft: boolean): ShaderMaterial {
    return new ShaderMaterial({
      glslVersion: GLSL3, vertexShader, fragmentShader, uniforms: this.uniforms, alphaToCoverage: soft,
    });
  }
}
