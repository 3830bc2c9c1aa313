/** What stands in the map: the cloud's colors, the chosen ones among its points, names, landing and path. */

import { Vector3 } from 'three';
import type { Cloud } from './cloud';
import { PRESENCE, type Rgb, THEMES, byCluster, bySimilarity, bySplit, paint, rgb } from './colors';
import type { Billboard, Growth } from './landing';
import type { Labels } from './labels';
import type { Marker, Markers } from './markers';
import type { Inputs, SpaceMeta, Triple } from './props';
import { type Mover, type Stage, tween } from './stage';
import type { Ids, Store } from './store';

const MORPH = 700; // ms
const FADE = 220; // ms

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

export class Scenery {
  /** The map that the cloud leaves and the one it stands in or goes to; the same while nothing morphs. */
  private from = '';
  private to = '';
  private morph: Mover | null = null;
  private fader: Mover | null = null;
  private paints = 0;
  private hoveredRow = -1;

  constructor(
    private readonly stage: Stage,
    private readonly cloud: Cloud,
    private readonly markers: Markers,
    private readonly labels: Labels,
    private readonly billboard: Billboard,
    private readonly growth: Growth,
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
  go(space: string, array: Int16Array, arrived: () => void): void {
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
      void this.paint();
      arrived();
    });
  }

  /** Color the points anew, fading from what they showed. Rejects where an array cannot be had. */
  async paint(ms = FADE): Promise<void> {
    this.paints += 1;
    const turn = this.paints;
    const url = this.props.highlighted?.length ? null : this.props.matchesUrl;
    const [color, matches] = await Promise.all([this.color(), url ? this.ground.store.matches(url) : null]);
    if (turn !== this.paints || this.cloud.n === 0) return;
    const tones = this.cloud.draft();
    paint(tones, color);
    this.present(tones, matches);
    this.labels.hush(Boolean(this.props.highlighted?.length || matches));
    this.cloud.commit();
    if (this.fader) this.stage.halt(this.fader);
    this.fader = tween(this.stage, ms, (part) => (this.cloud.faded = part));
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
    const { props, cloud, ground } = this;
    const { ink, ground: bottom } = THEMES[props.theme];
    const accent = props.accent[props.theme];
    const landing = this.between(props.landing?.points);
    const chosen = props.selected === null ? -1 : ground.ids.row(props.selected);
    const anchor = chosen >= 0 ? cloud.at(chosen) : landing;
    const near = anchor ? ground.ids.rows(props.neighbors).map((row) => cloud.at(row)) : [];
    const steps = this.steps();
    const head = this.markers.trace(steps, this.growth.reached, accent, bottom);
    this.markers.connect(anchor, near, accent, bottom);
    const marks: Marker[] = near.map((at) => ({ at, kind: 'ring', color: accent, least: 13 }));
    for (const at of steps.slice(0, Math.floor(this.growth.reached) + 1)) {
      marks.push({ at, kind: 'dot', color: accent, least: 4 });
    }
    if (this.hoveredRow >= 0) marks.push({ at: cloud.at(this.hoveredRow), kind: 'ring', color: ink, least: 16 });
    if (chosen >= 0) marks.push({ at: cloud.at(chosen), kind: 'ring', color: ink, least: 24 });
    if (head && !landing) marks.push({ at: head, kind: 'star', color: accent, least: 30 });
    if (landing) marks.push({ at: landing, kind: 'star', color: accent, least: 46 });
    this.markers.mark(marks);
    this.billboard.show(landing, props.landing?.imageUrl, accent);
    this.stage.invalidate();
  }

  /** Ring the point under the pointer. */
  hover(row: number): void {
    if (row === this.hoveredRow) return;
    this.hoveredRow = row;
    this.place();
  }

  /** Places that no name may cover: the selection and the landing. */
  leading(): Vector3[] {
    const chosen = this.props.selected === null ? -1 : this.ground.ids.row(this.props.selected);
    const landing = this.between(this.props.landing?.points);
    return [...(chosen >= 0 ? [this.cloud.at(chosen)] : []), ...(landing ? [landing] : [])];
  }

  /** A place and the radius around it worth seeing, scene units; null if there is no such thing. */
  sight(target: string, cluster: number | undefined, clusters: Int32Array | null): { at: Vector3; radius: number } | null {
    const { props, ground } = this;
    if (target === 'cluster') return this.clusterSight(cluster, clusters);
    const chosen = props.selected === null ? -1 : ground.ids.row(props.selected);
    const at = target === 'landing' ? this.between(props.landing?.points) : chosen >= 0 ? this.cloud.at(chosen) : null;
    if (!at) return null;
    const reach = ground.ids.rows(props.neighbors).map((row) => this.cloud.at(row).distanceTo(at));
    return { at, radius: Math.min(0.55, Math.max(0.08, ...reach.map((far) => far * 1.15))) };
  }

  private clusterSight(cluster = -1, clusters: Int32Array | null): { at: Vector3; radius: number } | null {
    const middle = new Vector3();
    const one = new Vector3();
    const rows: number[] = [];
    clusters?.forEach((value, row) => value === cluster && rows.push(row));
    if (!rows.length) return null;
    for (const row of rows) middle.add(this.cloud.at(row, one));
    middle.divideScalar(rows.length);
    const square = rows.reduce((sum, row) => sum + this.cloud.at(row, one).distanceToSquared(middle), 0);
    return { at: middle, radius: Math.min(0.8, Math.max(0.12, 1.7 * Math.sqrt(square / rows.length))) };
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

  private steps(): Vector3[] {
    const all = this.props.trajectory;
    const [before, after] = [all?.[this.from], all?.[this.to]];
    const places: Vector3[] = [];
    (after ?? []).forEach((point, i) => {
      const other = before?.[i];
      const at = this.between({ ...(other ? { [this.from]: other } : {}), [this.to]: point });
      if (at) places.push(at);
    });
    return places;
  }

  /** The color of every row. */
  private async color(): Promise<(row: number) => Rgb> {
    const { props, ground } = this;
    const rest = rgb(THEMES[props.theme].rest);
    const palette = props.palette[props.theme].map(rgb);
    if (props.colorBy === 'split') return bySplit(await ground.store.split(), palette, rest);
    if (props.colorBy === 'similarity') {
      if (!props.similarityUrl) return () => rest;
      return bySimilarity(await ground.store.similarity(props.similarityUrl), props.theme);
    }
    return byCluster(await ground.store.clusters(this.to), palette, rest);
  }

  /** Write how present each row is: what was found, matches or was chosen stands out, the rest steps back. */
  private present(tones: Uint8Array, matches: Uint8Array | null): void {
    const { props, ground } = this;
    const found = props.highlighted?.length ? props.highlighted : null;
    const anchored = props.neighbors.length > 0 && (props.selected !== null || props.landing !== null);
    const base = found || matches ? PRESENCE.dim : anchored ? PRESENCE.soft : PRESENCE.normal;
    for (let at = 3; at < tones.length; at += 4) tones[at] = base;
    const lift = (ids: readonly number[]): void => {
      for (const row of ground.ids.rows(ids)) tones[4 * row + 3] = PRESENCE.strong;
    };
    if (found) lift(found);
    matches?.forEach((met, row) => met && (tones[4 * row + 3] = PRESENCE.strong));
    if (anchored) lift(props.neighbors);
    if (props.selected !== null) lift([props.selected]);
  }
}
