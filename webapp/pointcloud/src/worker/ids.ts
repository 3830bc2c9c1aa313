/** Ids: unpacked from int64, and where each stands. */

import type { IdTable } from './messages';

const SPARSE = 2; // ids a row up to which a plain table is the smaller way back
const SPARE = 1_000_000; // ids that a table may always have

/** Unpack little-endian int64 (n,) into numbers: ids stay below 2^53. */
export function unpack(buffer: ArrayBuffer): IdTable {
  const halves = new Uint32Array(buffer);
  const list = new Float64Array(halves.length / 2);
  let greatest = 0;
  for (let row = 0; row < list.length; row += 1) {
    const id = (halves[2 * row] as number) + 4294967296 * (halves[2 * row + 1] as number);
    list[row] = id;
    if (id > greatest) greatest = id;
  }
  if (greatest > SPARSE * list.length + SPARE) return { list, table: null, order: ascending(list) };
  const table = new Int32Array(greatest + 1).fill(-1);
  for (let row = 0; row < list.length; row += 1) table[list[row] as number] = row;
  return { list, table, order: null };
}

function ascending(list: Float64Array): Uint32Array {
  return Uint32Array.from(list.keys()).sort((a, b) => (list[a] as number) - (list[b] as number));
}
