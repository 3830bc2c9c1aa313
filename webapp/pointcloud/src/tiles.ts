/** Pictures in the scene: one draw call over squares that face the camera, their pixels in one texture array. */

import {
  BufferAttribute, DataArrayTexture, DynamicDrawUsage, GLSL3, InstancedBufferAttribute, InstancedBufferGeometry,
  LinearFilter, Mesh, ShaderMaterial, type Vector3, Vector2,
} from 'three';
import type { Cloud } from './cloud';
import type { Rgb } from './colors';
import { SIDE } from './pictures';

/** A picture's side is this many times its point's diameter, within bounds: at least a fingertip, CSS pixels. */
export const SWELL = 3.2;
export const LEAST = 48;
export const GREATEST = 96;

/** One square: a place in scene units, a texture layer, how far it has grown out of its point (0-1), its rim. */
export interface Tile {
  readonly at: Vector3;
  readonly layer: number;
  readonly grown: number;
  /** Color of the point, and how present it is, 0-255. */
  readonly tone: Uint8Array;
  /** Another color for the rim, which is then wider; null keeps the point's. */
  readonly rim: Rgb | null;
}

const VERTEX = /* glsl */ `
uniform float pointSize;
uniform float pixelsPerUnit;
uniform vec2 pixels;        // a point's least and greatest diameter, device pixels
uniform float ratio;        // device pixels per CSS pixel
uniform vec2 canvas;        // device pixels
uniform vec3 ground;
in vec3 place;
in vec2 what;               // layer, grown
in vec4 tone;
in vec4 frame;              // color; alpha 1 where it is wanted
out vec2 across;            // -1 to 1
out vec2 spot;
flat out float layer;
flat out float grown;
flat out float side;        // device pixels
flat out vec3 rim;
flat out float width;       // of the rim, device pixels
flat out vec4 veil;         // the ground and how much of it shows

void main() {
  vec4 seen = modelViewMatrix * vec4(place, 1.0);
  float natural = pointSize * pixelsPerUnit / max(-seen.z, 1e-4);
  float large = clamp(natural * ${SWELL.toFixed(1)}, ${LEAST.toFixed(1)} * ratio, ${GREATEST.toFixed(1)} * ratio);
  side = mix(clamp(natural, pixels.x, pixels.y), large, what.y);
  across = position.xy;
  spot = vec2(position.x, -position.y) * 0.5 + 0.5;
  layer = what.x;
  grown = what.y;
  rim = mix(tone.rgb, frame.rgb, frame.a);
  width = (1.5 + 1.5 * frame.a) * ratio;
  veil = vec4(ground, 1.0 - smoothstep(0.0, 0.75, tone.a));
  vec4 clip = projectionMatrix * seen;
  clip.xy += position.xy * side / canvas * clip.w;
  // Before all points, in their own order of depth.
  gl_Position = vec4(clip.xy, clip.z * 0.25 - 0.75 * clip.w, clip.w);
}
`;

const FRAGMENT = /* glsl */ `
uniform sampler2DArray atlas;
in vec2 across;
in vec2 spot;
flat in float layer;
flat in float grown;
flat in float side;
flat in vec3 rim;
flat in float width;
flat in vec4 veil;
out vec4 shade;

void main() {
  // How far inside a square with round corners; the point is the one whose corners are all there is.
  float corner = mix(1.0, 0.2, grown);
  vec2 beyond = abs(across) - (1.0 - corner);
  float inside = (corner - length(max(beyond, 0.0)) - min(max(beyond.x, beyond.y), 0.0)) * side * 0.5;
  float cover = clamp(inside + 0.5, 0.0, 1.0);
  if (cover < 0.02) discard;
  vec3 picture = texture(atlas, vec3(spot, layer)).rgb;
  float shown = clamp(inside - width + 0.5, 0.0, 1.0) * smoothstep(0.0, 0.6, grown);
  shade = vec4(mix(mix(rim, picture, shown), veil.rgb, veil.a), cover);
}
`;

export class Tiles {
  readonly mesh: Mesh<InstancedBufferGeometry, ShaderMaterial>;
  private readonly attributes: Readonly<Record<'place' | 'what' | 'tone' | 'frame', InstancedBufferAttribute>>;
  private readonly canvas = { value: new Vector2(1, 1) };
  private readonly ratio = { value: 1 };
  private readonly texture: DataArrayTexture;
  /** Whether layers go to the graphics card one by one: until a lost context has all of them again they do not. */
  private single = true;

  /** `most` tiles at a time out of as many layers. */
  constructor(cloud: Cloud, most: number) {
    // Kept beside its copy on the graphics card: a lost context is filled again from here.
    this.texture = new DataArrayTexture(new Uint8Array(4 * SIDE * SIDE * most), SIDE, SIDE, most);
    this.texture.magFilter = LinearFilter;
    this.texture.minFilter = LinearFilter;
    this.texture.onUpdate = () => (this.single = true);
    const { pointSize, pixelsPerUnit, pixels, ground } = cloud.uniforms;
    const material = new ShaderMaterial({
      glslVersion: GLSL3,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      uniforms: {
        pointSize, pixelsPerUnit, pixels, ground, canvas: this.canvas, ratio: this.ratio, atlas: { value: this.texture },
      },
      alphaToCoverage: true,
    });
    const geometry = new InstancedBufferGeometry();
    geometry.setAttribute('position', new BufferAttribute(new Float32Array([-1, -1, 0, 1, -1, 0, -1, 1, 0, 1, 1, 0]), 3));
    geometry.setIndex([0, 1, 2, 2, 1, 3]);
    this.attributes = {
      place: instanced(new Float32Array(3 * most), 3),
      what: instanced(new Float32Array(2 * most), 2),
      tone: instanced(new Uint8Array(4 * most), 4),
      frame: instanced(new Uint8Array(4 * most), 4),
    };
    for (const [name, attribute] of Object.entries(this.attributes)) geometry.setAttribute(name, attribute);
    this.mesh = new Mesh(geometry, material);
    this.mesh.frustumCulled = false;
    this.mesh.visible = false;
    this.mesh.renderOrder = -1; // first, so that points behind a picture cost nothing
  }

  resize(width: number, height: number, ratio: number): void {
    this.canvas.value.set(width * ratio, height * ratio);
    this.ratio.value = ratio;
  }

  /** Write a picture's pixels, RGBA, into a layer. */
  write(layer: number, pixels: Uint8ClampedArray): void {
    (this.texture.image.data as Uint8Array).set(pixels, layer * pixels.length);
    if (this.single) this.texture.addLayerUpdate(layer);
    this.texture.needsUpdate = true;
  }

  /** The context is lost: the first upload after it is of all layers. */
  lose(): void {
    this.texture.clearLayerUpdates();
    this.single = false;
  }

  /** Draw these. */
  show(tiles: readonly Tile[]): void {
    const { place, what, tone, frame } = this.attributes;
    tiles.forEach((tile, i) => {
      tile.at.toArray(place.array, 3 * i);
      what.array[2 * i] = tile.layer;
      what.array[2 * i + 1] = tile.grown;
      (tone.array as Uint8Array).set(tile.tone, 4 * i);
      (frame.array as Uint8Array).set(tile.rim ? [...tile.rim, 255] : [0, 0, 0, 0], 4 * i);
    });
    for (const attribute of Object.values(this.attributes)) attribute.needsUpdate = true;
    this.mesh.geometry.instanceCount = tiles.length;
    this.mesh.visible = tiles.length > 0;
  }

  dispose(): void {
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
    this.texture.dispose();
  }
}

function instanced(array: Float32Array | Uint8Array, size: number): InstancedBufferAttribute {
  const attribute = new InstancedBufferAttribute(array, size, array instanceof Uint8Array);
  attribute.setUsage(DynamicDrawUsage);
  return attribute;
}
