/** A file that the server makes while it sends it, taken in piece by piece. */

/** How much of a file has come; its bytes cannot be known before it is made, its rows are. */
export interface Receipt {
  readonly bytes: number;
  readonly rows: number;
  /** Rows that were asked for and are not in it: flagged as unsafe, or taken down. */
  readonly leftOut: number;
}

export interface Received extends Receipt {
  readonly file: Blob;
}

const EVERY = 100; // ms between two words of progress

/** Take in an answer's body; rejects where it breaks off. `heard` is told at once, and again while it comes. */
export async function received(answer: Response, heard: (receipt: Receipt) => void): Promise<Received> {
  const told = { rows: Number(answer.headers.get('X-Rows')), leftOut: Number(answer.headers.get('X-Left-Out')) };
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  let last = -Infinity; // ms
  const reader = (answer.body as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
  for (;;) {
    if (performance.now() > last + EVERY) {
      last = performance.now();
      heard({ ...told, bytes });
    }
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    bytes += value.length;
  }
  return { ...told, bytes, file: new Blob(pieces, { type: answer.headers.get('Content-Type') ?? '' }) };
}
