/** The camera: mouse, touch and keys move it by hand; flights take it somewhere. Lengths in scene units. */

import { MathUtils, MOUSE, Spherical, TOUCH, Vector3 } from 'three';
import { OrbitControls } from 'three/addons/controls/OrbitControls.js';
import type { Extent } from './cloud';
import type { Triple, View } from './props';
import { type Mover, type Stage, still } from './stage';

const HOME = new Vector3(0.42, 0.3, 1).normalize();
const NEAREST = 0.03;
const FARTHEST = 9;
const UNSEEN = 4e-4; // a turn of less than this, radians, moves nothing by a pixel
const REST = 220; // ms without movement after which the camera rests

export class Rig {
  private readonly controls: OrbitControls;
  private flight: Mover | null = null;
  private timer = 0;
  private gliding = false;
  /** Raised with everything that takes the camera somewhere: who has waited with a flight sees that it is too late. */
  private taken = 0;
  /** Nobody has taken the camera away from home: it follows the window's size. */
  private homely = true;
  private extent: Extent = { center: new Vector3(), radius: 1 };

  /** `moved` is called with every change, `rested` once it is over. */
  constructor(
    private readonly stage: Stage,
    private readonly moved: () => void,
    private readonly rested: (view: View) => void,
  ) {
    this.controls = new OrbitControls(stage.camera, stage.canvas);
    this.controls.minDistance = NEAREST;
    this.controls.maxDistance = FARTHEST;
    this.controls.zoomToCursor = true;
    this.controls.zoomSpeed = 1.6;
    this.controls.rotateSpeed = 0.75;
    this.controls.dampingFactor = 0.22;
    this.controls.enableDamping = !still();
    this.controls.mouseButtons = { LEFT: MOUSE.ROTATE, MIDDLE: MOUSE.DOLLY, RIGHT: MOUSE.PAN };
    this.controls.touches = { ONE: TOUCH.ROTATE, TWO: TOUCH.DOLLY_PAN };
    this.controls.addEventListener('change', this.changed);
    this.controls.addEventListener('change', this.glide);
    this.controls.addEventListener('start', () => {
      this.leave();
      this.glide();
    });
  }

  goHome(): void {
    this.fly(this.home());
    this.homely = true;
  }

  /** The window or what covers it changed. */
  resized(): void {
    if (this.homely) this.stand(this.home());
  }

  /** The cloud in what is free of the window. */
  home(): View {
    return this.framing(this.extent.center, this.extent.radius, HOME);
  }

  /** Learn where the cloud is; who has stayed at home stays there. `flying` takes the way there. */
  settle(extent: Extent, flying: boolean): void {
    this.extent = extent;
    if (!this.homely) return;
    if (flying) this.goHome();
    else this.stand(this.home());
  }

  /** Stand off from a place so that `radius` around it fills what is free, keeping the direction of view. */
  framing(center: Vector3, radius: number, direction = this.direction()): View {
    const { height, free } = this.stage;
    const half = MathUtils.degToRad(this.stage.camera.fov / 2);
    const angle = Math.atan(Math.tan(half) * (Math.min(free.width, free.height) / height));
    const distance = MathUtils.clamp((radius * 1.06) / Math.sin(angle), NEAREST * 4, FARTHEST * 0.9);
    return { position: center.clone().addScaledVector(direction, distance).toArray(), target: center.toArray() };
  }

  view(): View {
    return { position: this.stage.camera.position.toArray(), target: this.controls.target.toArray() };
  }

  get distance(): number {
    return this.stage.camera.position.distanceTo(this.controls.target);
  }

  /** How often the camera was taken somewhere, by hand or by flight. */
  get journeys(): number {
    return this.taken;
  }

  /** Stand there now. */
  place(view: View): void {
    this.leave();
    this.stand(view);
  }

  /** Stop where the camera is, in flight or gliding. */
  halt(): void {
    if (!this.flight && !this.gliding) return;
    const view = this.view();
    const { enableDamping } = this.controls;
    this.controls.enableDamping = false; // what is left of a drag is spent at once, and taken back
    this.controls.update();
    this.controls.enableDamping = enableDamping;
    this.stand(view);
  }

  private stand(view: View): void {
    this.land();
    this.stage.camera.position.set(...view.position);
    this.controls.target.set(...view.target);
    this.controls.update();
    this.changed();
  }

  /** Fly there, 300-800 ms by how far it is; at once where motion is not wanted. */
  fly(view: View): void {
    this.leave();
    const from = this.view();
    const offset = (v: View): Spherical =>
      new Spherical().setFromVector3(new Vector3(...v.position).sub(new Vector3(...v.target)));
    const a = offset(from);
    const b = offset(view);
    const turn = MathUtils.euclideanModulo(b.theta - a.theta + Math.PI, 2 * Math.PI) - Math.PI;
    const start = new Vector3(...from.target);
    const goal = new Vector3(...view.target);
    const way = start.distanceTo(goal) + Math.abs(Math.log(b.radius / a.radius)) * 0.6 + Math.abs(turn) * 0.4;
    if (still() || way < 1e-4) {
      this.stand(view);
      return;
    }
    const ms = MathUtils.clamp(300 + 420 * way, 300, 800);
    let begun = -1;
    this.controls.enabled = false;
    this.flight = (now) => {
      if (begun < 0) begun = now;
      const t = Math.min(1, (now - begun) / ms);
      const eased = t < 0.5 ? 4 * t ** 3 : 1 - (2 - 2 * t) ** 3 / 2;
      const at = new Spherical(
        a.radius * (b.radius / a.radius) ** eased, a.phi + (b.phi - a.phi) * eased, a.theta + turn * eased);
      this.controls.target.lerpVectors(start, goal, eased);
      this.stage.camera.position.setFromSpherical(at.makeSafe()).add(this.controls.target);
      this.controls.update();
      if (t < 1) return true;
      this.land();
      this.changed();
      return false;
    };
    this.stage.move(this.flight);
  }

  /** Turn around the target, radians. */
  orbit(across: number, up: number): void {
    this.leave();
    const { camera } = this.stage;
    const at = new Spherical().setFromVector3(camera.position.clone().sub(this.controls.target));
    at.theta += across;
    at.phi = MathUtils.clamp(at.phi + up, 0.04, Math.PI - 0.04);
    camera.position.setFromSpherical(at).add(this.controls.target);
    this.controls.update();
    this.changed();
  }

  /** Come nearer by a factor (above 1) or go farther (below). */
  zoom(factor: number): void {
    this.leave();
    const { camera } = this.stage;
    const offset = camera.position.clone().sub(this.controls.target);
    offset.setLength(MathUtils.clamp(offset.length() / factor, NEAREST, FARTHEST));
    camera.position.copy(this.controls.target).add(offset);
    this.controls.update();
    this.changed();
  }

  /** Shift the view by parts of its height. */
  pan(right: number, up: number): void {
    this.leave();
    const { camera } = this.stage;
    const span = 2 * this.distance * Math.tan(MathUtils.degToRad(camera.fov / 2));
    const x = new Vector3().setFromMatrixColumn(camera.matrix, 0).multiplyScalar(right * span);
    const y = new Vector3().setFromMatrixColumn(camera.matrix, 1).multiplyScalar(up * span);
    camera.position.add(x).add(y);
    this.controls.target.add(x).add(y);
    this.controls.update();
    this.changed();
  }

  dispose(): void {
    window.clearTimeout(this.timer);
    this.land();
    this.controls.dispose();
  }

  /** Let the damping of a drag run out: a few frames past the last one that could be told from the one before. */
  private readonly glide = (): void => {
    if (!this.controls.enableDamping || this.gliding || this.flight) return;
    this.gliding = true;
    const before = new Vector3();
    let quiet = 0;
    this.stage.move(() => {
      before.copy(this.stage.camera.position);
      this.controls.update();
      quiet = before.distanceTo(this.stage.camera.position) > UNSEEN * this.distance ? 0 : quiet + 1;
      this.gliding = quiet < 3;
      return this.gliding;
    });
  };

  /** The camera goes elsewhere: neither home nor on with its flight. */
  private leave(): void {
    this.taken += 1;
    this.homely = false;
    this.land();
  }

  private land(): void {
    if (this.flight) this.stage.halt(this.flight);
    this.flight = null;
    this.controls.enabled = true;
  }

  private direction(): Vector3 {
    return this.stage.camera.position.clone().sub(this.controls.target).normalize();
  }

  private readonly changed = (): void => {
    this.moved();
    this.stage.invalidate();
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.rested(this.view()), REST);
  };
}

/** Rounded to a thousandth of the map radius: enough to stand at the same place, short enough for a link. */
export function rounded(view: View): View {
  const round = (v: Triple): Triple => [Math.round(v[0] * 1e3) / 1e3, Math.round(v[1] * 1e3) / 1e3, Math.round(v[2] * 1e3) / 1e3];
  return { position: round(view.position), target: round(view.target) };
}
