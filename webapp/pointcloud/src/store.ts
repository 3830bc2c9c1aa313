/** The atlas's arrays, fetched once each. They are immutable, so the browser's cache answers the second visit. */

import type { Meta } from './props';

export class FetchError extends Error {}

/** Where each picture's id stands in the arrays. */
export class Ids {
  private readonly table: Int32Array | null;
  private readonly sparse: Map<number, number> | null;

  /** `list`: one id a row. Ids are counted up, so a plain table is small; a Map serves the odd corpus. */
  constructor(readonly list: Float64Array) {
    let greatest = 0;
    for (const id of list) if (id > greatest) greatest = id;
    if (greatest <= 8 * list.length + 1_000_000) {
      this.table = new Int32Array(greatest + 1).fill(-1);
      list.forEach((id, row) => (this.table as Int32Array)[id] = row);
      this.sparse = null;
    } else {
      this.table = null;
      this.sparse = new Map();
      list.forEach((id, row) => this.sparse?.set(id, row));
    }
  }

  /** The row of an id, -1 if this version has none. */
  row(id: number): number {
    return (this.table ? this.table[id] : this.sparse?.get(id)) ?? -1;
  }

  rows(ids: readonly number[]): number[] {
    return ids.map((id) => this.row(id)).filter((row) => row >= 0);
  }
}

export class Store {
  /** Bytes moved so far. */
  bytes = 0;
  private readonly kept = new Map<string, Promise<ArrayBuffer>>();
  private compared: { readonly url: string; readonly values: Promise<Float32Array> } | null = null;
  private matched: { readonly url: string; readonly rows: Promise<Uint8Array> } | null = null;
  private readonly stop = new AbortController();

  constructor(private readonly api: string, readonly meta: Meta) {}

  /** int64 (n,), as numbers: ids stay below 2^53. */
  async ids(): Promise<Ids> {
    const wide = new BigInt64Array(await this.once('ids.bin', 8));
    return new Ids(Float64Array.from(wide, Number));
  }

  /** int16 (n, 3), quantized. `progress` hears how many of its points have come. */
  async points(space: string, progress?: (rows: number, array: Int16Array) => void): Promise<Int16Array> {
    const heard = progress && ((bytes: number, buffer: ArrayBuffer) =>
      progress(Math.floor(bytes / 6), new Int16Array(buffer)));
    return new Int16Array(await this.once(`${space}/points.bin`, 6, heard));
  }

  /** int32 (n,), -1 = none. */
  async clusters(space: string): Promise<Int32Array> {
    return new Int32Array(await this.once(`${space}/cluster.bin`, 4));
  }

  /** uint8 (n,), 0 = train, 1 = heldout. */
  async split(): Promise<Uint8Array> {
    return new Uint8Array(await this.once('split.bin', 1));
  }

  /** float32 (n,), cosine. Every query has its own, so only the last one's is kept. */
  similarity(url: string): Promise<Float32Array> {
    if (this.compared?.url === url) return this.compared.values;
    const values = this.fetch(url, 4 * this.meta.n).then((buffer) => new Float32Array(buffer));
    this.compared = { url, values };
    values.catch(() => (this.compared = null));
    return values;
  }

  /** uint8 (n,), 1 = meets the filter. Only the last filter's is kept. */
  matches(url: string): Promise<Uint8Array> {
    if (this.matched?.url === url) return this.matched.rows;
    const rows = this.fetch(url, this.meta.n).then((buffer) => new Uint8Array(buffer));
    this.matched = { url, rows };
    rows.catch(() => (this.matched = null));
    return rows;
  }

  /** Where a picture's thumbnail is; null in an atlas without any. */
  thumbnail(id: number): string | null {
    return this.meta.pictures === false ? null : `${this.base}/thumbnail/${id}.webp`;
  }

  async record(id: number): Promise<Readonly<Record<string, unknown>>> {
    const answer = await fetch(`${this.base}/record/${id}.json`, { signal: this.stop.signal });
    if (!answer.ok) throw new FetchError(`record ${id}: HTTP ${answer.status}`);
    return (await answer.json()) as Record<string, unknown>;
  }

  dispose(): void {
    this.stop.abort();
    this.kept.clear();
  }

  private get base(): string {
    return `${this.api}/v/${encodeURIComponent(this.meta.version)}`;
  }

  private once(
    path: string, itemBytes: number, progress?: (bytes: number, buffer: ArrayBuffer) => void,
  ): Promise<ArrayBuffer> {
    const known = this.kept.get(path);
    if (known) return known;
    const coming = this.fetch(`${this.base}/${path}`, itemBytes * this.meta.n, progress);
    this.kept.set(path, coming);
    coming.catch(() => this.kept.delete(path));
    return coming;
  }

  /** Fetch exactly `size` bytes, handing on what has come so far. */
  private async fetch(
    url: string, size: number, progress?: (bytes: number, buffer: ArrayBuffer) => void,
  ): Promise<ArrayBuffer> {
    const answer = await fetch(url, { signal: this.stop.signal });
    if (!answer.ok || !answer.body) throw new FetchError(`${url}: HTTP ${answer.status}`);
    const buffer = new ArrayBuffer(size);
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
      progress?.(have, buffer);
    }
    if (have !== size) throw new FetchError(`${url}: ${have} bytes, expected ${size}`);
    return buffer;
  }
}
