/** Which picture lies in which layer of the texture array: the longest unused one makes room for a new one. */

export class Layers {
  /** The layer of each row whose picture is there, the longest unused first. */
  private readonly rows = new Map<number, number>();
  private readonly free: number[];

  constructor(count: number) {
    this.free = Array.from({ length: count }, (_, i) => count - 1 - i);
  }

  has(row: number): boolean {
    return this.rows.has(row);
  }

  of(row: number): number | undefined {
    return this.rows.get(row);
  }

  /** Remember that a picture was in view. */
  touch(row: number): void {
    const layer = this.rows.get(row);
    if (layer === undefined) return;
    this.rows.delete(row);
    this.rows.set(row, layer);
  }

  /** A layer for a new picture; null where `drawn` says that all are in use. */
  take(row: number, drawn: (row: number) => boolean): number | null {
    const layer = this.free.pop() ?? this.oldest(drawn);
    if (layer !== null) this.rows.set(row, layer);
    return layer;
  }

  private oldest(drawn: (row: number) => boolean): number | null {
    for (const [row, layer] of this.rows) {
      if (drawn(row)) continue;
      this.rows.delete(row);
      return layer;
    }
    return null;
  }
}
