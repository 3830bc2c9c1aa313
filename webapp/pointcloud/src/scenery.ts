/** What stands in the map: the cloud's colors, the chosen ones among its points, names, landing and path. */

import { Box3, Vector3 } from 'three';
import type { Cloud } from './cloud';
import { type Rgb, THEMES, packed, rampOf, rgb } from './colors';
import type { Billboards, Growth, Standing } from './landing';
import type { Labels } from './labels';
import type { Marker, Markers } from './markers';
import { PRESENCE } from './presence';
import type { FlyTo, Inputs, SpaceMeta, Trajectory, Triple } from './props';
import { type Mover, type Stage, tween } from './stage';
import type { Ids, Store } from './store';
import type { Thumbnails } from './thumbnails';
import type { Coloring, Presence } from './worker/messages';

const MORPH = 600; // ms; with a slow last frame still below a second
const FADE = 220; // ms
const NEIGHBORS = 15; // of which a map keeps some

/** Map units to scene units. */
export function toScene(meta: SpaceMeta, point: Triple): Vector3 {
  return new Vector3(
    point[0] - meta.center[0], point[1] - meta.center[1], point[2] - meta.center[2]).divideScalar(meta.radius);
}

/** Everything the scenery stands on once the first map is there. */
export interface Ground {
  readonly store: Store;
  readonly ids: Ids;
}

/** A place worth seeing and how far around it, scene units. */
export interface Sight {
  readonly at: Vector3;
  readonly radius: number;
}

export class Scenery {
  /** The map that the cloud leaves and the one it stands in or goes to; the same while nothing morphs. */
  private from = '';
  private to = '';
  private morph: Mover | null = null;
  private fader: Mover | null = null;
  private paints = 0;
  private lassoed = false;

  constructor(
    private readonly stage: Stage,
    private readonly cloud: Cloud,
    private readonly markers: Markers,
    private readonly labels: Labels,
    private readonly billboards: Billboards,
    private readonly growth: Growth,
    private readonly thumbnails: Thumbnails,
    private props: Inputs,
    private readonly ground: Ground,
    space: string,
  ) {
    this.from = space;
    this.to = space;
  }

  get space(): string {
    return this.to;
  }

  get morphing(): boolean {
    return this.from !== this.to;
  }

  adopt(props: Inputs): void {
    this.props = props;
  }

  /** Morph the cloud to another space's map. */
  go(space: string, array: Int16Array, arrived: () => void, failed: (error: unknown) => void): void {
    const meta = this.meta(space);
    if (!meta || space === this.to) return;
    if (this.morph) this.stage.halt(this.morph);
    this.from = this.to;
    this.to = space;
    this.cloud.morphTo({ array, unit: meta.scale / meta.radius });
    this.labels.veil(true);
    const begun = this.cloud.morphed;
    this.morph = tween(this.stage, MORPH * (1 - begun), (part) => {
      this.cloud.morphed = begun + (1 - begun) * part;
      this.place();
    }, () => {
      this.from = space;
      this.labels.veil(false);
      this.name();
      this.place();
      this.paint().catch(failed);
      arrived();
    });
  }

  /** Color the points anew, fading from what they showed. Rejects where an array cannot be had. */
  async paint(ms = FADE): Promise<void> {
    this.paints += 1;
    const turn = this.paints;
    const [coloring, presence] = await Promise.all([this.coloring(), this.presence()]);
    if (turn !== this.paints || this.cloud.n === 0) return;
    const tones = await this.ground.store.paint(coloring, presence);
    if (turn !== this.paints) return;
    this.labels.hush(Boolean(this.props.highlighted?.length || presence.matches || presence.lassoed));
    this.cloud.recolor(tones);
    this.thumbnails.look();
    if (this.fader) this.stage.halt(this.fader);
    this.fader = tween(this.stage, ms, (part) => (this.cloud.faded = part));
  }

  /** Let the rows of the last lasso stand out, or no longer. */
  async select(lassoed: boolean): Promise<void> {
    this.lassoed = lassoed;
    await this.paint();
  }

  /** Put cluster names at their places. */
  name(): void {
    const meta = this.meta(this.to);
    const palette = this.props.palette[this.props.theme];
    const { rest } = THEMES[this.props.theme];
    const colored = this.props.colorBy === 'cluster';
    this.labels.show(!meta ? [] : this.props.labels.filter((label) => label.space === this.to).map((label) => ({
      text: label.label,
      at: toScene(meta, label.point),
      size: label.size,
      color: (colored && palette[(label.parent ?? label.cluster) % palette.length]) || rest,
      cluster: label.cluster,
      level: label.level ?? 0,
      parent: label.parent ?? null,
    })));
    this.stage.invalidate();
  }

  /** Put markers, lines, path and picture where their points now are. */
  place(): void {
    const { props, cloud, ground, markers } = this;
    const { ink, ground: bottom } = THEMES[props.theme];
    const accent = props.accent[props.theme];
    const chosen = props.selected === null ? -1 : ground.ids.row(props.selected);
    const standing = this.standing();
    const [landing] = standing;
    const anchor = chosen >= 0 && !props.way ? cloud.at(chosen) : landing?.at ?? null;
    const rows = anchor ? ground.ids.rows(this.neighbors) : [];
    const [steps = [], ...others] = this.paths();
    const reached = props.way ? steps.length : this.growth.reached;
    const head = markers.trace(steps, reached, accent, bottom);
    markers.fan(others, accent, bottom);
    markers.connect(anchor, rows.map((row) => cloud.at(row)), accent, bottom);
    const marks: Marker[] = [];
    const rims = new Map<number, Rgb>();
    // A point wears a ring, a picture a rim.
    const ring = (row: number, color: string, least: number): void => {
      rims.set(row, rgb(color));
      if (!this.thumbnails.has(row)) marks.push({ at: cloud.at(row), kind: 'ring', color, least });
    };
    for (const row of rows) ring(row, accent, 13);
    for (const at of steps.slice(0, Math.floor(reached) + 1)) marks.push({ at, kind: 'dot', color: accent, least: 4 });
    if (chosen >= 0) ring(chosen, ink, 24);
    if (head && !landing) marks.push({ at: head, kind: 'star', color: accent, least: 30 });
    standing.forEach(({ at }, i) => marks.push({ at, kind: 'star', color: accent, least: i ? 26 : 46 }));
    markers.mark(marks);
    this.thumbnails.frame(rims);
    this.billboards.show(standing.filter(({ url }) => url), accent);
    this.stage.invalidate();
  }

  /** Places that no name may cover: the selection and the landing. */
  leading(): Vector3[] {
    const chosen = this.props.selected === null ? -1 : this.ground.ids.row(this.props.selected);
    return [...(chosen >= 0 ? [this.cloud.at(chosen)] : []), ...this.standing().map(({ at }) => at)];
  }

  /** A place and the radius around it worth seeing, scene units; null if there is no such thing. */
  async sight({ target, cluster = -1, level = 0 }: FlyTo): Promise<Sight | null> {
    const { props, ground } = this;
    if (target === 'cluster') return this.clusterSight(cluster, level);
    if (target === 'way') return this.waySight();
    const chosen = props.selected === null ? -1 : ground.ids.row(props.selected);
    const at = target === 'landing' ? this.between(props.landing?.points) : chosen >= 0 ? this.cloud.at(chosen) : null;
    if (!at) return null;
    const reach = ground.ids.rows(props.neighbors).map((row) => this.cloud.at(row).distanceTo(at));
    return { at, radius: Math.min(0.55, Math.max(0.08, ...reach.map((far) => far * 1.15))) };
  }

  private async clusterSight(cluster: number, level: 0 | 1): Promise<Sight | null> {
    const meta = this.meta(this.to);
    const found = meta && (await this.ground.store.spot(this.to, cluster, level));
    if (!found) return null;
    const unit = meta.scale / meta.radius;
    const at = new Vector3(...found.middle).multiplyScalar(unit);
    return { at, radius: Math.min(0.8, Math.max(0.12, 1.7 * found.spread * unit)) };
  }

  /** All of the ways, from end to end. */
  private waySight(): Sight | null {
    const places = this.paths().flat();
    if (!places.length) return null;
    const at = new Box3().setFromPoints(places).getCenter(new Vector3());
    return { at, radius: Math.min(1, Math.max(0.12, ...places.map((place) => 1.6 * place.distanceTo(at)))) };
  }

  private meta(space: string): SpaceMeta | undefined {
    return this.ground.store.meta.spaces[space];
  }

  /** A thing's place between its places in the two maps; null where it has none in the map ahead. */
  private between(points: Readonly<Record<string, Triple>> | undefined): Vector3 | null {
    const [a, b] = [this.meta(this.from), this.meta(this.to)];
    const [p, q] = [points?.[this.from] ?? points?.[this.to], points?.[this.to]];
    if (!a || !b || !p || !q) return null;
    return toScene(points?.[this.from] ? a : b, p).lerp(toScene(b, q), this.cloud.morphed);
  }

  /** Whom lines lead to: those near the step of the way that is looked at, else near what is in view. */
  private get neighbors(): readonly number[] {
    return this.props.way?.neighbors ?? this.props.neighbors;
  }

  /** What stands in the map, the first leading: each way's picture at its step, or the landing. */
  private standing(): Standing[] {
    const { way, landing } = this.props;
    if (!way) {
      const at = this.between(landing?.points);
      return at ? [{ at, url: landing?.imageUrl ?? '' }] : [];
    }
    return way.paths.flatMap(({ points, step, imageUrl }) => {
      const at = this.between(Object.fromEntries(Object.entries(points).flatMap(([space, steps]) => {
        const point = steps[step - 1];
        return point ? [[space, point]] : [];
      })));
      return at ? [{ at, url: imageUrl }] : [];
    });
  }

  /** The steps of each way in view, the first leading. */
  private paths(): Vector3[][] {
    const { way, trajectory } = this.props;
    return way ? way.paths.map(({ points }) => this.steps(points)) : [this.steps(trajectory)];
  }

  private steps(all: Trajectory | null): Vector3[] {
    const [before, after] = [all?.[this.from], all?.[this.to]];
    const places: Vector3[] = [];
    (after ?? []).forEach((point, i) => {
      const other = before?.[i];
      const at = this.between({ ...(other ? { [this.from]: other } : {}), [this.to]: point });
      if (at) places.push(at);
    });
    return places;
  }

  /** What every row's color comes from. */
  private async coloring(): Promise<Coloring> {
    const { props, ground } = this;
    const rest = packed(rgb(THEMES[props.theme].rest));
    const palette = props.palette[props.theme].map((color) => packed(rgb(color)));
    if (props.colorBy === 'split') return { by: 'group', column: await ground.store.split(), palette, rest };
    if (props.colorBy === 'similarity') {
      if (!props.similarityUrl) return { by: 'none', rest };
      const column = await ground.store.similarity(props.similarityUrl);
      return { by: 'value', column, ramp: rampOf(props.theme), scale: null };
    }
    if (props.colorBy === 'overlap') {
      const scale = { low: 0, high: NEIGHBORS, beyond: rest };
      return { by: 'value', column: await ground.store.overlap(this.to), ramp: rampOf(props.theme), scale };
    }
    return { by: 'group', column: await ground.store.clusters(this.to), palette, rest };
  }

  /** How present each row is: what was lassoed, else found, else matches stands out, the rest steps back. */
  private async presence(): Promise<Presence> {
    const { props, ground, lassoed } = this;
    const found = !lassoed && props.highlighted?.length ? props.highlighted : null;
    const matches = !lassoed && !found && props.matchesUrl ? await ground.store.matches(props.matchesUrl) : null;
    const anchored = this.neighbors.length > 0 && [props.selected, props.landing, props.way].some((one) => one !== null);
    const base = lassoed || found || matches ? PRESENCE.dim : anchored ? PRESENCE.soft : PRESENCE.normal;
    const rows = ground.ids.rows([
      ...(found ?? []), ...(anchored && !lassoed ? this.neighbors : []),
      ...(props.selected !== null ? [props.selected] : [])]);
    return { base, matches, lassoed, rows };
  }
}
