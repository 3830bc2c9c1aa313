/** Boxes on screen, CSS pixels from the canvas's corner: what names and pictures keep free of each other. */

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** A box around a place. */
export function around(x: number, y: number, width: number, height: number): Box {
  return { left: x - width / 2, top: y - height / 2, right: x + width / 2, bottom: y + height / 2 };
}

export function overlap(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

const CELL = 128; // CSS pixels

/** Boxes that are taken, by the squares of the screen that they touch. */
export class Taken {
  private readonly cells = new Map<number, Box[]>();

  constructor(boxes: readonly Box[] = []) {
    for (const box of boxes) this.add(box);
  }

  add(box: Box): void {
    for (const cell of this.under(box)) {
      const others = this.cells.get(cell);
      if (others) others.push(box);
      else this.cells.set(cell, [box]);
    }
  }

  /** Whether a box would lie over one of them. */
  meets(box: Box): boolean {
    return this.under(box).some((cell) => this.cells.get(cell)?.some((other) => overlap(box, other)));
  }

  private under(box: Box): number[] {
    const found: number[] = [];
    for (let y = Math.floor(box.top / CELL); y * CELL < box.bottom; y += 1) {
      for (let x = Math.floor(box.left / CELL); x * CELL < box.right; x += 1) found.push(1024 * y + x);
    }
    return found;
  }
}
