/**
 * What the page tells the map and what the map tells the page.
 *
 * Three frames of coordinates: *map units* are the atlas's own (points.npy); *quantized* are the int16 that travel;
 * *scene units* are map radii from the map's center, the same for every space, so that one camera serves all.
 */

export type Triple = readonly [number, number, number];

/** How one space was quantized: map = center + scale * q; radius in map units. */
export interface SpaceMeta {
  readonly scale: number;
  readonly center: Triple;
  readonly radius: number;
}

export interface Meta {
  readonly version: string;
  /** The order and layout of all arrays, which their addresses name: browsers keep them for a year. */
  readonly arrays: number;
  readonly n: number;
  /** Whether there are thumbnails at all; an atlas may hold links alone. */
  readonly pictures?: boolean;
  readonly spaces: Readonly<Record<string, SpaceMeta>>;
}

/** A cluster's name at its place; `point` in map units of `space`, `size` in pictures. */
export interface Label {
  readonly cluster: number;
  readonly label: string;
  readonly point: Triple;
  readonly size: number;
  readonly space: string;
  /** 0, the coarse clusters, unless said; a fine one, 1, stands in the coarse `parent`. */
  readonly level?: 0 | 1;
  readonly parent?: number | null;
}

/** The generated picture's place in every space, map units. */
export interface Landing {
  readonly points: Readonly<Record<string, Triple>>;
  readonly imageUrl?: string;
}

/** The steps of a generation in every space, map units, oldest first. */
export type Trajectory = Readonly<Record<string, readonly Triple[]>>;

/** A whole way, map units; its picture stands at its step, which is 1-based. */
export interface Path {
  readonly points: Readonly<Record<string, readonly Triple[]>>;
  readonly step: number;
  readonly imageUrl: string;
}

/** Ways that are looked at step by step, the first leading, and who is near its step. */
export interface Way {
  readonly paths: readonly Path[];
  readonly neighbors: readonly number[];
}

export interface FlyTo {
  readonly target: 'selection' | 'landing' | 'way' | 'cluster' | 'reset';
  readonly cluster?: number;
  /** Of the cluster: 0, the coarse one, unless said; 1 = a fine one. */
  readonly level?: 0 | 1;
  readonly nonce: number | string;
}

/** The camera, scene units. */
export interface View {
  readonly position: Triple;
  readonly target: Triple;
}

/** What floats above the map, CSS pixels from each edge; the cloud is centered in what remains. */
export interface Insets {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export type ColorBy = 'cluster' | 'split' | 'similarity' | 'overlap';
export type ThemeName = 'dark' | 'light';
export type Texts = Readonly<Record<string, string>>;

export interface Inputs {
  readonly id?: string;
  readonly meta: Meta | null;
  readonly api: string;
  readonly space: string;
  readonly colorBy: ColorBy;
  readonly similarityUrl: string | null;
  readonly labels: readonly Label[];
  readonly highlighted: readonly number[] | null;
  readonly matchesUrl: string | null;
  readonly selected: number | null;
  readonly neighbors: readonly number[];
  readonly landing: Landing | null;
  readonly trajectory: Trajectory | null;
  readonly way: Way | null;
  readonly flyTo: FlyTo | null;
  readonly view: View | null;
  readonly insets: Insets;
  readonly theme: ThemeName;
  readonly palette: Readonly<Record<ThemeName, readonly string[]>>;
  readonly accent: Readonly<Record<ThemeName, string>>;
  readonly attribution: string;
  readonly texts: Texts;
  readonly ariaLabel: string;
  readonly savePng: number | string | null;
}

/** Keys that are the page's to answer. */
export type CommandName = 'search' | 'next' | 'previous' | 'clear';

export interface Outputs {
  readonly clicked: { readonly id: number | null; readonly nonce: number };
  readonly hovered: number | null;
  readonly view: View;
  readonly ready: { readonly points: number; readonly ms: number; readonly bytes: number };
  readonly command: { readonly name: CommandName; readonly nonce: number };
}

export type SetProps = (changed: Partial<Outputs>) => void;

export const DEFAULTS: Inputs = {
  meta: null,
  api: '/api',
  space: 'clip',
  colorBy: 'cluster',
  similarityUrl: null,
  labels: [],
  highlighted: null,
  matchesUrl: null,
  selected: null,
  neighbors: [],
  landing: null,
  trajectory: null,
  way: null,
  flyTo: null,
  view: null,
  insets: { left: 0, right: 0, top: 0, bottom: 0 },
  theme: 'dark',
  palette: { dark: ['#8ab4f8'], light: ['#1a66c9'] },
  accent: { dark: '#ff5d8f', light: '#d6135c' },
  attribution: '',
  texts: {},
  ariaLabel: '',
  savePng: null,
};
