/** Numbers whose bytes travel sorted by their worth, so that what is alike stands together and compresses well. */

/** Numbers of `size` bytes, in order, out of planes: the lowest byte of each, then the next of each, and so on. */
export function woven(planes: ArrayBuffer, size: number): ArrayBuffer {
  const from = new Uint8Array(planes);
  const numbers = new Uint8Array(from.length);
  const count = from.length / size;
  for (let plane = 0; plane < size; plane += 1) {
    for (let row = 0; row < count; row += 1) numbers[row * size + plane] = from[plane * count + row] as number;
  }
  return numbers.buffer;
}
