/** Thumbnails for the map: asked for many at a time, what is in view first, and decoded into pixels of one size. */

import { FetchError, type Ids, type Store } from './store';

/** The side that pictures are decoded to, pixels. They are drawn at 48-96 CSS pixels, so no smaller copies are needed. */
export const SIDE = 96;
const BATCH = 32; // of the 64 that the server takes at once: the first ones show sooner
const AT_ONCE = 2; // requests
const HEAD = 12; // bytes before each picture: int64 id, uint32 length

/** A row's pixels, RGBA from the top; null where there is no picture. */
export interface Picture {
  readonly row: number;
  readonly pixels: Uint8ClampedArray | null;
}

export class Pictures {
  private wishes: number[] = [];
  private readonly asked = new Set<number>();
  private requests = 0;
  private readonly canvas = new OffscreenCanvas(SIDE, SIDE);
  private readonly pen: OffscreenCanvasRenderingContext2D;
  private disposed = false;

  /** `arrived` is handed what one answer brought; `failed` what should not have happened. */
  constructor(
    private readonly store: Store,
    private readonly ids: Ids,
    private readonly arrived: (pictures: readonly Picture[]) => void,
    private readonly failed: (error: unknown) => void,
  ) {
    const pen = this.canvas.getContext('2d', { willReadFrequently: true });
    if (!pen) throw new Error('no 2D canvas');
    pen.imageSmoothingQuality = 'high';
    this.pen = pen;
  }

  /** The rows in view that lack their pictures, the nearest first. What was wished before and not yet asked is let go. */
  want(rows: readonly number[]): void {
    this.wishes = rows.filter((row) => !this.asked.has(row));
    this.pump();
  }

  dispose(): void {
    this.disposed = true;
    this.wishes = [];
  }

  private pump(): void {
    while (this.requests < AT_ONCE && this.wishes.length) void this.ask(this.wishes.splice(0, BATCH));
  }

  /** One request. Where it fails its points stay points, and are asked for again when the camera next moves. */
  private async ask(rows: readonly number[]): Promise<void> {
    this.requests += 1;
    for (const row of rows) this.asked.add(row);
    try {
      const answer = await this.store.thumbnails(rows.map((row) => this.ids.list[row] as number));
      const found = await Promise.all(unpack(answer).map(({ id, bytes }) => this.decode(this.ids.row(id), bytes)));
      if (!this.disposed) this.arrived(found);
    } catch (error) {
      const expected = error instanceof FetchError || error instanceof TypeError || this.disposed;
      if (!expected) this.failed(error);
      this.wishes = [];
    } finally {
      this.requests -= 1;
      for (const row of rows) this.asked.delete(row);
    }
    this.pump();
  }

  private async decode(row: number, bytes: Uint8Array<ArrayBuffer>): Promise<Picture> {
    if (!bytes.length) return { row, pixels: null };
    try {
      const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/webp' }));
      const pixels = this.pixels(bitmap);
      bitmap.close();
      return { row, pixels };
    } catch {
      return { row, pixels: null }; // what is no picture stays a point, like one that is not there
    }
  }

  /** The middle square, which is also the part that the models were shown. */
  private pixels(bitmap: ImageBitmap): Uint8ClampedArray {
    const side = Math.min(bitmap.width, bitmap.height);
    this.pen.fillStyle = '#fff';
    this.pen.fillRect(0, 0, SIDE, SIDE);
    this.pen.drawImage(
      bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0, SIDE, SIDE);
    return this.pen.getImageData(0, 0, SIDE, SIDE).data;
  }
}

/** The answer's pictures: an int64 id, a uint32 length and so many bytes of WebP each, little-endian. */
export function unpack(answer: ArrayBuffer): { readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }[] {
  const view = new DataView(answer);
  const found = [];
  for (let at = 0; at < answer.byteLength; ) {
    const length = at + HEAD <= answer.byteLength ? view.getUint32(at + 8, true) : Infinity;
    if (at + HEAD + length > answer.byteLength) throw new FetchError('thumbnails.bin: cut off');
    found.push({ id: Number(view.getBigInt64(at, true)), bytes: new Uint8Array(answer, at + HEAD, length) });
    at += HEAD + length;
  }
  return found;
}
