/** The atlas's arrays, fetched once each. They are immutable, so the browser's cache answers the second visit. */

import type { Meta } from './props';
import { Rows } from './rows';
import type { Coloring, Eye, IdTable, Lassoed, Nearness, Presence, Spot } from './worker/messages';

export class FetchError extends Error {}

/** Where each picture's id stands in the arrays. */
export class Ids {
  /** `list`: one id a row, in the order of the map. */
  readonly list: Float64Array;

  constructor(private readonly found: IdTable) {
    this.list = found.list;
  }

  /** The row of an id, -1 if this version has none. */
  row(id: number): number {
    const { table, order } = this.found;
    if (table) return table[id] ?? -1;
    let [low, high] = [0, order?.length ?? 0];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.list[order?.[middle] ?? 0] ?? 0) < id) low = middle + 1;
      else high = middle;
    }
    const row = order?.[low] ?? -1;
    return this.list[row] === id ? row : -1;
  }

  rows(ids: readonly number[]): number[] {
    return ids.map((id) => this.row(id)).filter((row) => row >= 0);
  }
}

/** What columns of the worker are filled from: bytes a row, and what the worker makes of them. */
const COLUMNS = {
  cluster: { itemBytes: 4, fill: (rows, name, planes) => rows.ask('groups', { name, planes }, [planes]) },
  split: { itemBytes: 1, fill: (rows, name, buffer) => filled(rows, name, new Uint8Array(buffer)) },
  pictured: { itemBytes: 1, fill: (rows, name, buffer) => filled(rows, name, new Uint8Array(buffer)) },
  similarity: { itemBytes: 4, fill: (rows, name, buffer) => filled(rows, name, new Float32Array(buffer)) },
  overlap: { itemBytes: 1, fill: (rows, name, buffer) => filled(rows, name, new Uint8Array(buffer)) },
  matches: { itemBytes: 1, fill: (rows, name, buffer) => filled(rows, name, new Uint8Array(buffer)) },
} as const satisfies Readonly<Record<string, Column>>;

interface Column {
  readonly itemBytes: number;
  readonly fill: (rows: Rows, name: string, buffer: ArrayBuffer) => Promise<null>;
}

type ColumnKind = keyof typeof COLUMNS;

function filled(rows: Rows, name: string, values: Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>): Promise<null> {
  return rows.ask('column', { name, values }, [values.buffer]);
}

export class Store {
  /** Bytes moved so far. */
  bytes = 0;
  private readonly rows = new Rows();
  private readonly maps = new Map<string, Promise<Int16Array>>();
  private readonly columns = new Map<string, Promise<string>>();
  /** Every query has its own similarities and every filter its own matches, so only the last one's are kept. */
  private readonly passing = new Map<ColumnKind, string>();
  private readonly stop = new AbortController();

  /** `failed` hears what nobody waits for. */
  constructor(private readonly api: string, readonly meta: Meta, private readonly failed: (error: unknown) => void) {}

  /** Arrive as int64 (n,) in planes of bytes; the worker unpacks them. */
  async ids(): Promise<Ids> {
    const planes = new ArrayBuffer(8 * this.meta.n);
    await this.fetch(`${this.base}/ids.bin?planes=1`, planes);
    return new Ids(await this.rows.ask('ids', { planes }, [planes]));
  }

  /**
   * int16 (n, 3), quantized; the worker has a copy. `progress` hears how many of its points have come into the array that
   * is promised: always the same one, since whoever draws it keeps a copy on the graphics card.
   */
  points(space: string, progress?: (rows: number, array: Int16Array) => void): Promise<Int16Array> {
    return once(this.maps, space, async () => {
      const array = new Int16Array(3 * this.meta.n);
      const heard = progress && ((bytes: number) => progress(Math.floor(bytes / 6), array));
      await this.fetch(`${this.base}/${space}/points.bin`, array.buffer, heard);
      const copy = array.slice();
      this.rows.ask('map', { space, array: copy }, [copy.buffer]).catch(this.failed);
      return array;
    });
  }

  /** Let the worker have int32 (n,), -1 = none; returns the column's name. */
  clusters(space: string, level: 0 | 1 = 0): Promise<string> {
    return this.column('cluster', `${this.base}/${space}/${level ? 'subcluster' : 'cluster'}.bin?planes=1`);
  }

  /** uint8 (n,), 0 = train, 1 = heldout. */
  split(): Promise<string> {
    return this.column('split', `${this.base}/split.bin`);
  }

  /** uint8 (n,), how many of 15 neighbors a map keeps; 255 = not counted. */
  overlap(space: string): Promise<string> {
    return this.column('overlap', `${this.base}/${space}/overlap.bin`);
  }

  /** uint8 (n,), 1 = has a picture. */
  pictured(): Promise<string> {
    return this.column('pictured', `${this.base}/pictures.bin`);
  }

  /** These rows turned out to have none. */
  bar(pictured: string, rows: readonly number[]): Promise<null> {
    return this.rows.ask('bar', { pictured, rows });
  }

  /** float32 (n,), cosine. */
  similarity(url: string): Promise<string> {
    return this.latest('similarity', url);
  }

  /** uint8 (n,), 1 = meets the filter. */
  matches(url: string): Promise<string> {
    return this.latest('matches', url);
  }

  /** Tones: uint8 (n, 4). */
  paint(coloring: Coloring, presence: Presence): Promise<Uint8Array> {
    return this.rows.ask('paint', { coloring, presence });
  }

  /** The row seen at (x, y), CSS pixels from the canvas's corner; -1 if none within `reach`. */
  pick(space: string, eye: Eye, x: number, y: number, reach: number): Promise<number> {
    return this.rows.ask('pick', { space, eye, x, y, reach });
  }

  /** The rows to show as pictures, the nearest first. */
  near(space: string, eye: Eye, wish: Nearness): Promise<Int32Array> {
    return this.rows.ask('near', { space, eye, wish });
  }

  /** The rows seen within a polygon (x0, y0, x1, y1, ...), CSS pixels; the worker keeps the last answer for `paint`. */
  lasso(space: string, eye: Eye, polygon: readonly number[], within: string | null): Promise<Lassoed> {
    return this.rows.ask('lasso', { space, eye, polygon, within });
  }

  /** Where a cluster is, quantized; null if it has no points. */
  async spot(space: string, cluster: number, level: 0 | 1): Promise<Spot | null> {
    return this.rows.ask('spot', { space, column: await this.clusters(space, level), group: cluster });
  }

  /** Where a picture's thumbnail is; null in an atlas without any. */
  thumbnail(id: number): string | null {
    return this.meta.pictures === false ? null : `${this.base}/thumbnail/${id}.webp`;
  }

  /** The thumbnails of up to 64 pictures in one answer, which `pictures.ts` unpacks. */
  async thumbnails(ids: readonly number[]): Promise<ArrayBuffer> {
    const url = `${this.base}/thumbnails.bin?ids=${ids.join(',')}`;
    const answer = await fetch(url, { signal: this.stop.signal });
    if (!answer.ok) throw new FetchError(`${url}: HTTP ${answer.status}`);
    return answer.arrayBuffer();
  }

  async record(id: number): Promise<Readonly<Record<string, unknown>>> {
    const answer = await fetch(`${this.base}/record/${id}.json`, { signal: this.stop.signal });
    if (!answer.ok) throw new FetchError(`record ${id}: HTTP ${answer.status}`);
    return (await answer.json()) as Record<string, unknown>;
  }

  /** The rows of a bit mask in the map's order, as a file that comes while it is made. */
  async file(mask: Uint8Array<ArrayBuffer>, space: string, format: string, signal: AbortSignal): Promise<Response> {
    const url = this.named(`${this.base}/selection.${format}?${new URLSearchParams({ space })}`);
    const answer = await fetch(url, {
      method: 'POST', body: mask, headers: { 'Content-Type': 'application/octet-stream' },
      signal: AbortSignal.any([signal, this.stop.signal]),
    });
    if (!answer.ok) throw new FetchError(`${url}: HTTP ${answer.status}`);
    return answer;
  }

  dispose(): void {
    this.stop.abort();
    this.rows.dispose();
  }

  private get base(): string {
    return `${this.api}/v/${encodeURIComponent(this.meta.version)}`;
  }

  private column(kind: ColumnKind, url: string): Promise<string> {
    const { itemBytes, fill } = COLUMNS[kind];
    return once(this.columns, url, async () => {
      const buffer = new ArrayBuffer(itemBytes * this.meta.n);
      await this.fetch(url, buffer);
      await fill(this.rows, url, buffer);
      return url;
    });
  }

  private async latest(kind: ColumnKind, url: string): Promise<string> {
    const before = this.passing.get(kind);
    this.passing.set(kind, url);
    if (before !== undefined && before !== url) this.forget(before);
    const name = await this.column(kind, url);
    if (this.passing.get(kind) === url) return name;
    this.forget(url);
    throw new DOMException('another one was asked for while this one came', 'AbortError');
  }

  private forget(name: string): void {
    this.columns.delete(name);
    this.rows.ask('forget', { name }).catch(() => undefined); // fails only where the map is taken away
  }

  /** The address of rows in the order that this page knows. */
  private named(url: string): string {
    return `${url}${url.includes('?') ? '&' : '?'}arrays=${this.meta.arrays}`;
  }

  /** Fetch an array of exactly the buffer's bytes into it, telling how many have come so far. */
  private async fetch(url: string, buffer: ArrayBuffer, progress?: (bytes: number) => void): Promise<void> {
    const answer = await fetch(this.named(url), { signal: this.stop.signal });
    if (!answer.ok || !answer.body) throw new FetchError(`${url}: HTTP ${answer.status}`);
    const size = buffer.byteLength;
    const bytes = new Uint8Array(buffer);
    const reader = answer.body.getReader();
    let have = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (have + value.length > size) throw new FetchError(`${url}: more than the expected ${size} bytes`);
      bytes.set(value, have);
      have += value.length;
      this.bytes += value.length;
      progress?.(have);
    }
    if (have !== size) throw new FetchError(`${url}: ${have} bytes, expected ${size}`);
  }
}

/** What was promised under a name, made where it was not; a broken promise is not kept. */
function once<T>(kept: Map<string, Promise<T>>, name: string, make: () => Promise<T>): Promise<T> {
  const known = kept.get(name);
  if (known) return known;
  const coming = make();
  kept.set(name, coming);
  coming.catch(() => kept.delete(name));
  return coming;
}
