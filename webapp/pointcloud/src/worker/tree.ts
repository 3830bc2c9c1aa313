/**
 * The points of a map, sorted so that neighbors stand together, with boxes around runs of them: what is near a place
 * on screen is found by looking into the few boxes that are seen there.
 *
 * The order is Morton's (G. M. Morton, "A computer oriented geodetic data base", 1966); boxes follow the density of the
 * cloud by themselves, and building is a radix sort.
 */

const LEAF = 32; // points a box
const FAN = 8; // boxes a box
const BITS = 10; // of each axis in a point's key

export class Tree {
  /** The row of each sorted point. */
  readonly order: Uint32Array;
  /** int16 (n, 3), quantized, in the sorted order. */
  readonly points: Int16Array;
  /** Boxes, finest first: low x, y, z, high x, y, z. */
  private readonly levels: Int16Array[] = [];

  /** `array`: int16 (n, 3). */
  constructor(array: Int16Array) {
    this.order = mortonOrder(array);
    this.points = new Int16Array(array.length);
    this.order.forEach((row, place) => {
      for (let axis = 0; axis < 3; axis += 1) this.points[3 * place + axis] = array[3 * row + axis] as number;
    });
    let boxes = leaves(this.points);
    this.levels.push(boxes);
    while (boxes.length > 6 * FAN) {
      boxes = outer(boxes);
      this.levels.push(boxes);
    }
  }

  /** Visit the runs of points, first and one past the last, of every box that `touches` says yes to. */
  visit(touches: (boxes: Int16Array, at: number) => boolean, see: (first: number, end: number) => void): void {
    const top = this.levels.length - 1;
    for (let box = 0; box < (this.levels[top] as Int16Array).length / 6; box += 1) this.descend(top, box, touches, see);
  }

  private descend(
    level: number, box: number,
    touches: (boxes: Int16Array, at: number) => boolean, see: (first: number, end: number) => void,
  ): void {
    if (!touches(this.levels[level] as Int16Array, 6 * box)) return;
    if (level === 0) {
      see(box * LEAF, Math.min(this.order.length, (box + 1) * LEAF));
      return;
    }
    const end = Math.min((this.levels[level - 1] as Int16Array).length / 6, (box + 1) * FAN);
    for (let child = box * FAN; child < end; child += 1) this.descend(level - 1, child, touches, see);
  }
}

/** The rows of int16 (n, 3) in Morton's order. */
function mortonOrder(array: Int16Array): Uint32Array {
  const n = array.length / 3;
  const spread = spreads();
  const cut = 16 - BITS;
  let keys: Uint32Array = new Uint32Array(n);
  let rows: Uint32Array = new Uint32Array(n);
  for (let row = 0; row < n; row += 1) {
    const x = spread[((array[3 * row] as number) + 32768) >> cut] as number;
    const y = spread[((array[3 * row + 1] as number) + 32768) >> cut] as number;
    const z = spread[((array[3 * row + 2] as number) + 32768) >> cut] as number;
    keys[row] = x | (y << 1) | (z << 2);
    rows[row] = row;
  }
  for (let pass = 0; pass < 3; pass += 1) [keys, rows] = sortedBy(keys, rows, pass * BITS);
  return rows;
}

/** One pass of a radix sort: stable, by `BITS` bits from `shift` on. */
function sortedBy(keys: Uint32Array, rows: Uint32Array, shift: number): [Uint32Array, Uint32Array] {
  const mask = (1 << BITS) - 1;
  const starts = new Uint32Array(1 << BITS);
  for (const key of keys) (starts[(key >>> shift) & mask] as number)++;
  let sum = 0;
  starts.forEach((count, digit) => {
    starts[digit] = sum;
    sum += count;
  });
  const [nextKeys, nextRows] = [new Uint32Array(keys.length), new Uint32Array(rows.length)];
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i] as number;
    const place = (starts[(key >>> shift) & mask] as number)++;
    nextKeys[place] = key;
    nextRows[place] = rows[i] as number;
  }
  return [nextKeys, nextRows];
}

/** Every number of `BITS` bits with two empty bits after each of its own. */
function spreads(): Uint32Array {
  return Uint32Array.from({ length: 1 << BITS }, (_, value) => {
    let wide = 0;
    for (let bit = 0; bit < BITS; bit += 1) wide |= ((value >> bit) & 1) << (3 * bit);
    return wide;
  });
}

function leaves(points: Int16Array): Int16Array {
  const n = points.length / 3;
  const boxes = empty(Math.ceil(n / LEAF));
  for (let place = 0; place < n; place += 1) {
    const box = 6 * Math.floor(place / LEAF);
    for (let axis = 0; axis < 3; axis += 1) {
      const q = points[3 * place + axis] as number;
      grow(boxes, box + axis, q, q);
    }
  }
  return boxes;
}

/** Each `FAN` boxes in one. */
function outer(inner: Int16Array): Int16Array {
  const boxes = empty(Math.ceil(inner.length / 6 / FAN));
  for (let box = 0; box < inner.length / 6; box += 1) {
    const whole = 6 * Math.floor(box / FAN);
    for (let axis = 0; axis < 3; axis += 1) {
      const at = 6 * box + axis;
      grow(boxes, whole + axis, inner[at] as number, inner[at + 3] as number);
    }
  }
  return boxes;
}

/** Boxes around nothing. */
function empty(count: number): Int16Array {
  return Int16Array.from({ length: 6 * count }, (_, i) => (i % 6 < 3 ? 32767 : -32768));
}

/** Widen a box's side, whose low end is at `at`, to reach from `low` to `high`. */
function grow(boxes: Int16Array, at: number, low: number, high: number): void {
  if (low < (boxes[at] as number)) boxes[at] = low;
  if (high > (boxes[at + 3] as number)) boxes[at + 3] = high;
}
