/**
 * What the page's thread asks the worker, and what the worker answers.
 *
 * The worker holds every array that has a value a row, in the order of the map; the page's thread keeps positions and
 * tones, which it draws, and ids. Buffers are handed over, not copied, wherever the sender can do without.
 */

import type { Box } from '../boxes';

/**
 * How the camera sees quantized points: `(x', y', w) = rows · (q, 1)` gives a point's place on the canvas,
 * `(x' / w, y' / w)`, CSS pixels from its corner, and `w`, its depth in scene units.
 */
export interface Eye {
  /** Three rows of four. */
  readonly rows: readonly number[];
  /** CSS pixels. */
  readonly width: number;
  readonly height: number;
  /** A point's diameter at depth 1, and the least and the greatest on screen, CSS pixels. */
  readonly diameter: number;
  readonly least: number;
  readonly greatest: number;
}

/** What a row's color comes from; colors are packed as `colors.packed` does. */
export type Coloring =
  | { readonly by: 'none'; readonly rest: number }
  | { readonly by: 'group'; readonly column: string; readonly palette: readonly number[]; readonly rest: number }
  | {
    readonly by: 'value'; readonly column: string; readonly ramp: readonly number[];
    /** What the ends of the ramp stand for, and the color of what lies beyond; null: see `tones.span`. */
    readonly scale: Scale | null;
  };

export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly beyond: number;
}

/** How present each row is, later ones before earlier ones. */
export interface Presence {
  readonly base: number;
  /** The name of a column that is not zero where a row stands out. */
  readonly matches: string | null;
  /** Whether the rows of the last lasso stand out. */
  readonly lassoed: boolean;
  /** Rows that stand out. */
  readonly rows: readonly number[];
}

export type Values = Int32Array | Uint8Array | Float32Array;

/** Where a group's points are, quantized: their middle, and the root of their mean squared distance to it. */
export interface Spot {
  readonly middle: readonly [number, number, number];
  readonly spread: number;
}

/** Where ids stand: `list` has one a row; `table` has a row an id, or `order` the rows by ascending id. */
export interface IdTable {
  readonly list: Float64Array;
  readonly table: Int32Array | null;
  readonly order: Uint32Array | null;
}

/** Which points become pictures. */
export interface Nearness {
  /** A picture's side at depth 1, and the least and the greatest on screen, CSS pixels. */
  readonly side: number;
  readonly least: number;
  readonly greatest: number;
  readonly most: number;
  /** The least presence: what steps back behind a search stays a point. */
  readonly present: number;
  /** Rows that are shown as pictures now. */
  readonly held: readonly number[];
  /** The name of a column that is not zero where a row has a picture. */
  readonly pictured: string;
  /** Where no panel covers the canvas, CSS pixels from its corner. */
  readonly free: Box;
  /** What no picture may cover, CSS pixels from the canvas's corner. */
  readonly taken: readonly Box[];
}

/** Every question with its answer. */
export interface Questions {
  /** int64 (n,), in planes of bytes. */
  ids: { ask: { readonly planes: ArrayBuffer }; answer: IdTable };
  /** int16 (n, 3), quantized. */
  map: { ask: { readonly space: string; readonly array: Int16Array }; answer: null };
  column: { ask: { readonly name: string; readonly values: Values }; answer: null };
  /** A column of int32 (n,), in planes of bytes. */
  groups: { ask: { readonly name: string; readonly planes: ArrayBuffer }; answer: null };
  forget: { ask: { readonly name: string }; answer: null };
  /** Tones: uint8 (n, 4). */
  paint: { ask: { readonly coloring: Coloring; readonly presence: Presence }; answer: Uint8Array };
  /** The row seen nearest to (x, y), -1 if there is none within `reach` CSS pixels. */
  pick: {
    ask: { readonly space: string; readonly eye: Eye; readonly x: number; readonly y: number; readonly reach: number };
    answer: number;
  };
  /** The rows within a polygon (x0, y0, x1, y1, ...), CSS pixels; of those a filter meets where `within` names one. */
  lasso: {
    ask: {
      readonly space: string; readonly eye: Eye; readonly polygon: readonly number[]; readonly within: string | null;
    };
    answer: Lassoed;
  };
  /** Rows turned out to have no picture, whatever the column says. */
  bar: { ask: { readonly pictured: string; readonly rows: readonly number[] }; answer: null };
  /** The rows to show as pictures, the nearest first. */
  near: { ask: { readonly space: string; readonly eye: Eye; readonly wish: Nearness }; answer: Int32Array };
  spot: { ask: { readonly space: string; readonly column: string; readonly group: number }; answer: Spot | null };
}

export interface Lassoed {
  readonly count: number;
  /** One bit a row, row 8j + k at bit k of byte j. */
  readonly mask: Uint8Array<ArrayBuffer>;
  /** What the worker took for it. */
  readonly ms: number;
}

export type Kind = keyof Questions;

export interface Question<K extends Kind = Kind> {
  readonly turn: number;
  readonly kind: K;
  readonly ask: Questions[K]['ask'];
}

export type Answer =
  | { readonly turn: number; readonly answer: Questions[Kind]['answer'] }
  | { readonly turn: number; readonly error: string };
