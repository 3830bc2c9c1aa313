/** Pointer and keyboard on the map: what is under the pointer, what was clicked, which key means what. */

import type { Rig } from './camera';
import { type Action, action } from './keys';
import type { Picker } from './picking';
import type { Stage } from './stage';

const SLOP = 5; // CSS pixels that a click may wander
const STEP = 0.08; // radians a key press turns
export const REACH = { mouse: 5, touch: 14, key: 90 }; // CSS pixels

export interface Heard {
  /** The row under the pointer, -1 if none. */
  readonly hovered: (row: number) => void;
  readonly picked: (row: number) => void;
  readonly asked: (what: Exclude<Action, 'pick'>) => void;
  readonly failed: (error: unknown) => void;
}

export class Pointer {
  private down: { readonly x: number; readonly y: number } | null = null;
  private pressed = 0;
  private last: { readonly x: number; readonly y: number } | null = null;
  private busy = false;

  constructor(
    private readonly host: HTMLElement,
    private readonly stage: Stage,
    private readonly rig: Rig,
    private readonly picker: Picker,
    private readonly heard: Heard,
  ) {
    const { canvas } = stage;
    canvas.addEventListener('pointerdown', this.onDown);
    canvas.addEventListener('pointermove', this.onMove);
    canvas.addEventListener('pointerup', this.onUp);
    canvas.addEventListener('pointercancel', this.onLeave);
    canvas.addEventListener('pointerleave', this.onLeave);
    host.addEventListener('keydown', this.onKey);
  }

  /** The camera rests after having moved: something else may be under the pointer. */
  lookAgain(): void {
    if (this.last && !this.pressed) void this.look();
  }

  /** Nothing is under the pointer any more, whatever it does next. */
  letGo(): void {
    this.onLeave();
  }

  dispose(): void {
    const { canvas } = this.stage;
    canvas.removeEventListener('pointerdown', this.onDown);
    canvas.removeEventListener('pointermove', this.onMove);
    canvas.removeEventListener('pointerup', this.onUp);
    canvas.removeEventListener('pointercancel', this.onLeave);
    canvas.removeEventListener('pointerleave', this.onLeave);
    this.host.removeEventListener('keydown', this.onKey);
  }

  private spot(event: PointerEvent): { readonly x: number; readonly y: number } {
    const box = this.stage.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private readonly onDown = (event: PointerEvent): void => {
    this.pressed += 1;
    this.down = this.pressed === 1 && event.button === 0 ? this.spot(event) : null;
    this.last = null;
    this.heard.hovered(-1);
  };

  private readonly onMove = (event: PointerEvent): void => {
    if (this.pressed || event.pointerType === 'touch') return;
    this.last = this.spot(event);
    void this.look();
  };

  private readonly onUp = (event: PointerEvent): void => {
    this.pressed = Math.max(0, this.pressed - 1);
    const { down } = this;
    this.down = null;
    if (!down) return;
    const { x, y } = this.spot(event);
    if (Math.hypot(x - down.x, y - down.y) > SLOP) return;
    this.pick(x, y, event.pointerType === 'touch' ? REACH.touch : REACH.mouse);
  };

  private readonly onLeave = (): void => {
    this.pressed = 0;
    this.down = null;
    this.last = null;
    this.heard.hovered(-1);
  };

  /** One look at a time; the newest place wins. */
  private async look(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      for (let spot = this.last, seen = null; spot && spot !== seen; spot = this.last) {
        seen = spot;
        const row = await this.picker.at(spot.x, spot.y, REACH.mouse);
        if (this.last === spot) {
          this.heard.hovered(row);
          break;
        }
      }
    } catch (error) {
      this.heard.failed(error);
    } finally {
      this.busy = false;
    }
  }

  private pick(x: number, y: number, reach: number): void {
    this.picker.at(x, y, reach).then((row) => row >= 0 && this.heard.picked(row), this.heard.failed);
  }

  private readonly onKey = (event: KeyboardEvent): void => {
    if (event.target !== this.host) return;
    const what = action(event);
    if (!what) return;
    event.preventDefault();
    if (what === 'pick') {
      const { x, y } = this.stage.free;
      this.pick(x, y, REACH.key);
    } else if (!this.steer(what)) {
      this.heard.asked(what);
    }
  };

  private steer(what: Action): boolean {
    switch (what) {
      case 'left': this.rig.orbit(-STEP, 0); return true;
      case 'right': this.rig.orbit(STEP, 0); return true;
      case 'up': this.rig.orbit(0, -STEP); return true;
      case 'down': this.rig.orbit(0, STEP); return true;
      case 'panLeft': this.rig.pan(-0.06, 0); return true;
      case 'panRight': this.rig.pan(0.06, 0); return true;
      case 'panUp': this.rig.pan(0, 0.06); return true;
      case 'panDown': this.rig.pan(0, -0.06); return true;
      case 'nearer': this.rig.zoom(1.2); return true;
      case 'farther': this.rig.zoom(1 / 1.2); return true;
      default: return false;
    }
  }
}
