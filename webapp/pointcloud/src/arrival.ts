/** What has arrived of an atlas: its first map is shown as it comes, all else is put on it, other maps come when asked. */

import type { Rig } from './camera';
import type { Cloud } from './cloud';
import { THEMES, packed, rgb } from './colors';
import type { Billboards, Growth } from './landing';
import type { Labels } from './labels';
import type { Markers } from './markers';
import type { Notice } from './notice';
import { PRESENCE } from './presence';
import type { Sights } from './picking';
import type { Inputs } from './props';
import { Scenery } from './scenery';
import type { Stage } from './stage';
import { type Ids, Store } from './store';
import type { Thumbnails } from './thumbnails';
import type { Voice } from './voice';

/** The map's parts that an atlas is shown by. */
export interface Parts {
  readonly host: HTMLElement;
  readonly notice: Notice;
  readonly stage: Stage;
  readonly cloud: Cloud;
  readonly rig: Rig;
  readonly markers: Markers;
  readonly labels: Labels;
  readonly billboards: Billboards;
  readonly growth: Growth;
  readonly thumbnails: Thumbnails;
  readonly voice: Voice;
}

export interface Heard {
  /** What the page says now. */
  readonly props: () => Inputs;
  /** Nothing of the atlas before is there any more. */
  readonly begun: () => void;
  /** The cloud goes to another map now. */
  readonly leaves: () => void;
  /** The cloud stands in a map: the first one, or the one that it went to. */
  readonly stands: () => void;
  readonly failed: (error: unknown) => void;
}

export class Arrival {
  scenery: Scenery | null = null;
  store: Store | null = null;
  ids: Ids | null = null;

  constructor(private readonly parts: Parts, private readonly heard: Heard) {}

  /** Where picking looks; null while there is nothing to pick from. */
  get sights(): Sights | null {
    const { store, scenery } = this;
    return store && scenery && !scenery.morphing ? { store, space: scenery.space } : null;
  }

  /** Fetch the first map and show it as it comes. */
  async load(): Promise<void> {
    const { host, notice, stage, voice } = this.parts;
    this.clear();
    const { meta, space, api, texts } = this.heard.props();
    if (!meta?.spaces[space]) return;
    const begun = performance.now();
    const store = new Store(api, meta, this.heard.failed);
    this.store = store;
    notice.progress(texts, 0, meta.n);
    try {
      await this.cover(store, space);
      if (this.store !== store) return;
      // Only now: the cloud can be seen without them.
      const ids = await store.ids();
      if (this.store !== store) return;
      this.ids = ids;
      this.furnish(store, ids, space);
      notice.hide('loading');
      stage.draw();
      Object.assign(host.dataset, { ready: 'true', points: String(meta.n), space });
      voice.ready(meta.n, performance.now() - begun, store.bytes);
    } catch (error) {
      if (this.store === store) this.heard.failed(error);
    }
  }

  /** Morph to the map that the page asks for. */
  async go(): Promise<void> {
    const { scenery, store, parts: { notice, host, cloud, rig } } = this;
    const { space, texts } = this.heard.props();
    if (!scenery || !store?.meta.spaces[space]) return;
    const wanted = (): boolean => this.heard.props().space === space && this.scenery === scenery;
    const { n } = store.meta;
    notice.progress(texts, 0, n);
    try {
      const array = await store.points(space, (rows) => wanted() && notice.progress(texts, rows / n, n));
      if (!wanted()) return;
      notice.hide('loading');
      this.heard.leaves();
      scenery.go(space, array, () => {
        host.dataset['space'] = space;
        this.heard.stands();
      }, this.heard.failed);
      rig.settle(cloud.extent(), true);
    } catch (error) {
      if (wanted()) notice.hide('loading');
      this.heard.failed(error);
    }
  }

  dispose(): void {
    this.store?.dispose();
  }

  private clear(): void {
    this.store?.dispose();
    this.store = null;
    this.scenery = null;
    this.parts.thumbnails.close();
    this.parts.notice.hide('failed');
    this.parts.host.dataset['ready'] = 'false';
    this.heard.begun();
  }

  /** Let the cloud's points appear as they come. */
  private async cover(store: Store, space: string): Promise<void> {
    const { notice, stage, cloud, rig, voice } = this.parts;
    const { theme, texts } = this.heard.props();
    const { n, spaces } = store.meta;
    const about = spaces[space];
    if (!about) return;
    const unit = about.scale / about.radius;
    cloud.allot(n, packed(rgb(THEMES[theme].rest)), PRESENCE.soft);
    const array = await store.points(space, (rows, part) => {
      if (this.store !== store) return;
      cloud.reveal({ array: part, unit }, rows);
      notice.progress(texts, rows / n, n);
      stage.invalidate();
    });
    if (this.store !== store) return;
    cloud.reveal({ array, unit }, n);
    rig.settle(cloud.extent(), false);
    voice.heard(rig.view());
  }

  /** Put everything else on the ground that the first map gave. */
  private furnish(store: Store, ids: Ids, space: string): void {
    const { stage, cloud, markers, labels, billboards, growth, thumbnails } = this.parts;
    const props = this.heard.props();
    const scenery = new Scenery(
      stage, cloud, markers, labels, billboards, growth, thumbnails, props, { store, ids }, space);
    this.scenery = scenery;
    growth.to(props.trajectory?.[space]?.length ?? 0);
    scenery.name();
    scenery.place();
    scenery.paint(0).catch(this.heard.failed);
    thumbnails.open(store, ids);
    if (props.space !== space) void this.go();
    this.heard.stands();
  }
}
