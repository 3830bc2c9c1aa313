/** What is drawn over the cloud: rings, the landing's star, lines to neighbors, the path of a generation. */

import {
  BufferAttribute, BufferGeometry, CatmullRomCurve3, Color, GLSL3, Group, Points, ShaderMaterial, Vector3,
} from 'three';
import { LineMaterial } from 'three/addons/lines/LineMaterial.js';
import { LineSegments2 } from 'three/addons/lines/LineSegments2.js';
import { LineSegmentsGeometry } from 'three/addons/lines/LineSegmentsGeometry.js';
import type { Cloud } from './cloud';
import { MARKER_FRAGMENT, MARKER_VERTEX } from './shaders';

const KINDS = { ring: 0, star: 1, dot: 2 } as const;
const PATH_PIECES = 6; // straight pieces between two steps

/** One marker: a place in scene units, a least diameter in CSS pixels. */
export interface Marker {
  readonly at: Vector3;
  readonly kind: keyof typeof KINDS;
  readonly color: string;
  readonly least: number;
}

export class Markers {
  readonly group = new Group();
  private readonly ratio = { value: 1 };
  private readonly symbols: Points<BufferGeometry, ShaderMaterial>;
  private readonly spokes = lines(1.4, 0.75);
  private readonly path = lines(2.4, 0.95);
  private readonly others = lines(1.8, 0.8);

  constructor(cloud: Cloud) {
    const { pointSize, pixelsPerUnit, pixels } = cloud.uniforms;
    const material = new ShaderMaterial({
      glslVersion: GLSL3,
      vertexShader: MARKER_VERTEX,
      fragmentShader: MARKER_FRAGMENT,
      uniforms: { pointSize, pixelsPerUnit, pixels, ratio: this.ratio },
      transparent: true,
      depthTest: false,
      depthWrite: false,
    });
    this.symbols = new Points(new BufferGeometry(), material);
    this.symbols.frustumCulled = false;
    this.spokes.renderOrder = 1;
    this.others.renderOrder = 1;
    this.path.renderOrder = 2;
    this.symbols.renderOrder = 3;
    this.group.add(this.spokes, this.others, this.path, this.symbols);
  }

  /** Device pixels per CSS pixel; lines need not be told. */
  resize(ratio: number): void {
    this.ratio.value = ratio;
  }

  /** Draw these symbols, later ones above earlier ones. */
  mark(markers: readonly Marker[]): void {
    const places = new Float32Array(3 * markers.length);
    const tints = new Float32Array(3 * markers.length);
    const kinds = new Float32Array(markers.length);
    const sizes = new Float32Array(markers.length);
    markers.forEach((marker, i) => {
      marker.at.toArray(places, 3 * i);
      tints.set(plain(marker.color), 3 * i);
      kinds[i] = KINDS[marker.kind];
      sizes[i] = marker.least;
    });
    const geometry = new BufferGeometry();
    geometry.setAttribute('position', new BufferAttribute(places, 3));
    geometry.setAttribute('tint', new BufferAttribute(tints, 3));
    geometry.setAttribute('kind', new BufferAttribute(kinds, 1));
    geometry.setAttribute('least', new BufferAttribute(sizes, 1));
    this.symbols.geometry.dispose();
    this.symbols.geometry = geometry;
    this.symbols.visible = markers.length > 0;
  }

  /** Lines from one place to others, fading toward their far ends. */
  connect(from: Vector3 | null, to: readonly Vector3[], accent: string, ground: string): void {
    const near = new Color(accent);
    const far = near.clone().lerp(new Color(ground), 0.55);
    const places: number[] = [];
    const colors: number[] = [];
    for (const end of from ? to : []) {
      places.push(...(from as Vector3).toArray(), ...end.toArray());
      colors.push(...near.toArray(), ...far.toArray());
    }
    redraw(this.spokes, places, colors);
  }

  /**
   * The path through `steps`, drawn up to step number `reached` (a fraction reaches between two). The steps are what
   * is known; the curve between them only leads the eye.
   */
  trace(steps: readonly Vector3[], reached: number, accent: string, ground: string): Vector3 | null {
    const places: number[] = [];
    const colors: number[] = [];
    const head = curve(steps, reached, accent, ground, places, colors);
    redraw(this.path, places, colors);
    return head;
  }

  /** Whole paths beside that one, thinner. */
  fan(paths: readonly (readonly Vector3[])[], accent: string, ground: string): void {
    const places: number[] = [];
    const colors: number[] = [];
    for (const steps of paths) curve(steps, steps.length - 1, accent, ground, places, colors);
    redraw(this.others, places, colors);
  }

  dispose(): void {
    this.symbols.geometry.dispose();
    this.symbols.material.dispose();
    for (const line of [this.spokes, this.others, this.path]) {
      line.geometry.dispose();
      line.material.dispose();
    }
  }
}

/** Add the pieces of a path up to step number `reached`, the older the paler; return where they end. */
function curve(
  steps: readonly Vector3[], reached: number, accent: string, ground: string, places: number[], colors: number[],
): Vector3 | null {
  let head: Vector3 | null = steps[0] ?? null;
  if (steps.length < 2) return head;
  const through = new CatmullRomCurve3([...steps], false, 'centripetal');
  const last = steps.length - 1;
  const end = Math.min(reached, last);
  const pieces = Math.max(1, Math.ceil(end * PATH_PIECES));
  const old = new Color(accent).lerp(new Color(ground), 0.45);
  const fresh = new Color(accent);
  head = through.getPoint(0);
  for (let i = 1; i <= pieces; i += 1) {
    const next = through.getPoint(Math.min(1, (end * i) / pieces / last));
    places.push(...head.toArray(), ...next.toArray());
    for (const part of [(i - 1) / pieces, i / pieces]) colors.push(...old.clone().lerp(fresh, part).toArray());
    head = next;
  }
  return head;
}

/** A hex color as the shaders take it: sRGB, 0-1, not converted. */
function plain(color: string): [number, number, number] {
  const value = Number.parseInt(color.slice(1), 16);
  return [((value >> 16) & 255) / 255, ((value >> 8) & 255) / 255, (value & 255) / 255];
}

/** Lines of a width in CSS pixels, over everything. */
function lines(linewidth: number, opacity: number): LineSegments2 {
  const material = new LineMaterial({
    linewidth, opacity, vertexColors: true, transparent: true, depthTest: false, depthWrite: false,
  });
  const object = new LineSegments2(new LineSegmentsGeometry(), material);
  object.frustumCulled = false;
  object.visible = false;
  return object;
}

function redraw(line: LineSegments2, places: number[], colors: number[]): void {
  line.visible = places.length > 0;
  if (!line.visible) return;
  const geometry = new LineSegmentsGeometry();
  geometry.setPositions(places);
  geometry.setColors(colors);
  line.geometry.dispose();
  line.geometry = geometry;
}
