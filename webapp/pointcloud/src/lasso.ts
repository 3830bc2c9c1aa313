/**
 * The lasso: a line drawn around points by mouse, pen or finger.
 *
 * L or its button switches it on; Shift with a drag draws at once. A drag draws freely; clicks set corners one by one,
 * and a double click, Enter or a click on the first corner closes the line. Escape gives up. The camera stands still
 * under a line that is begun: a line means what is seen while it is drawn.
 */

import { type Action, action } from './keys';
import { REACH } from './pointer';
import type { Texts } from './props';
import type { Stage } from './stage';

const SLOP = 5; // CSS pixels that a click may wander
const CLOSE = 10; // CSS pixels around the first corner that close the line
const STEP = 3; // CSS pixels between two points of a free line
const HARMLESS: ReadonlySet<Action> = new Set(['help', 'lasso', 'search']); // to a line that is begun
const SVG = 'http://www.w3.org/2000/svg';

export interface Drawn {
  /** The map is to let go of the pointer and to stand still. */
  readonly begun: () => void;
  /** The lasso was switched on or off. */
  readonly switched: (on: boolean) => void;
  /** A line was closed. */
  readonly closed: (polygon: readonly number[]) => void;
}

export class Lasso {
  readonly button = document.createElement('button');
  private readonly sheet = document.createElementNS(SVG, 'svg');
  private readonly line = document.createElementNS(SVG, 'polygon');
  private on = false;
  /** Corners: x0, y0, x1, y1, ..., CSS pixels from the canvas's corner. */
  private corners: number[] = [];
  private pressed: { readonly pointer: number; readonly from: number; far: boolean } | null = null;

  constructor(private readonly host: HTMLElement, private readonly stage: Stage, private readonly heard: Drawn) {
    this.sheet.setAttribute('class', 'pointcloud-lasso');
    this.sheet.setAttribute('aria-hidden', 'true');
    this.sheet.append(this.line);
    this.button.type = 'button';
    this.button.addEventListener('click', () => this.toggle());
    host.append(this.sheet);
    // In the capturing phase, so that what draws does not turn the camera as well.
    for (const [kind, hear] of this.listeners) host.addEventListener(kind, hear as EventListener, true);
    this.mark();
  }

  speak(texts: Texts): void {
    this.button.textContent = texts['lasso'] ?? '';
    this.button.title = texts['lassoHint'] ?? '';
  }

  /** Switch the lasso on or off; a line that is begun is given up. */
  toggle(on = !this.on): void {
    this.on = on;
    this.corners = [];
    this.pressed = null;
    this.mark();
    this.heard.switched(on);
    if (on) {
      this.heard.begun();
      this.host.focus();
    }
  }

  /** The camera has moved: a line that is begun goes around something else now. */
  giveUp(): void {
    if (this.drawing) this.toggle(this.on);
  }

  dispose(): void {
    for (const [kind, hear] of this.listeners) this.host.removeEventListener(kind, hear as EventListener, true);
    this.sheet.remove();
  }

  private get drawing(): boolean {
    return this.corners.length > 0;
  }

  private readonly onDown = (event: PointerEvent): void => {
    const wanted = this.on || this.drawing || (event.shiftKey && event.pointerType === 'mouse');
    if (!wanted || event.target !== this.stage.canvas || event.button !== 0) return;
    event.stopPropagation();
    if (!event.isPrimary) return;
    if (!this.on) this.toggle(true);
    this.stage.canvas.setPointerCapture(event.pointerId);
    if (!this.drawing) this.heard.begun();
    this.pressed = { pointer: event.pointerId, from: this.corners.length, far: false };
    this.corners.push(...this.spot(event));
    this.show();
  };

  private readonly onMove = (event: PointerEvent): void => {
    if (!this.on) return;
    if (event.target === this.stage.canvas) event.stopPropagation();
    if (!this.drawing || !event.isPrimary) return;
    const [x, y] = this.spot(event);
    if (this.pressed?.pointer === event.pointerId) {
      const [lastX, lastY] = this.corners.slice(-2) as [number, number];
      if (Math.hypot(x - lastX, y - lastY) < (this.pressed.far ? STEP : SLOP)) return;
      this.pressed.far = true;
      this.corners.push(x, y);
      this.show();
    } else {
      this.show([x, y]);
    }
  };

  private readonly onUp = (event: PointerEvent): void => {
    if (!this.on || event.target !== this.stage.canvas) return;
    event.stopPropagation();
    const { pressed } = this;
    if (!pressed || pressed.pointer !== event.pointerId) return;
    this.pressed = null;
    const [x, y] = this.corners.slice(pressed.from, pressed.from + 2) as [number, number];
    const reach = event.pointerType === 'touch' ? REACH.touch : CLOSE;
    const onFirst = pressed.from >= 6 && Math.hypot(x - (this.corners[0] ?? 0), y - (this.corners[1] ?? 0)) <= reach;
    if (pressed.far || onFirst) this.close();
  };

  private readonly onCancel = (event: PointerEvent): void => {
    if (this.pressed?.pointer === event.pointerId) this.toggle(this.on);
  };

  private readonly onDouble = (event: MouseEvent): void => {
    if (!this.on || event.target !== this.stage.canvas) return;
    event.stopPropagation();
    this.close();
  };

  private readonly onKey = (event: KeyboardEvent): void => {
    const what = action(event);
    if (!this.on || !what || event.target !== this.host) return;
    const mine = what === 'pick' || what === 'clear';
    if (!mine && (!this.drawing || HARMLESS.has(what))) return;
    event.stopImmediatePropagation();
    event.preventDefault();
    if (what === 'pick') this.close();
    else if (what === 'clear') this.toggle(this.drawing);
  };

  private readonly onWheel = (event: WheelEvent): void => {
    if (!this.drawing) return;
    event.stopPropagation();
    event.preventDefault();
  };

  private readonly listeners = [
    ['pointerdown', this.onDown], ['pointermove', this.onMove], ['pointerup', this.onUp],
    ['pointercancel', this.onCancel], ['dblclick', this.onDouble], ['keydown', this.onKey],
    ['wheel', this.onWheel],
  ] as const;

  private close(): void {
    const { corners } = this;
    if (corners.length < 6) return;
    this.toggle(false);
    this.heard.closed(corners);
  }

  private spot(event: PointerEvent): [number, number] {
    const box = this.stage.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  private mark(): void {
    this.host.dataset['lasso'] = String(this.on);
    this.button.setAttribute('aria-pressed', String(this.on));
    this.show();
  }

  private show(ahead: readonly number[] = []): void {
    this.line.setAttribute('points', [...this.corners, ...ahead].join(' '));
  }
}
