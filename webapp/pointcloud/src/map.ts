/** The map as a whole: it loads, keeps its parts in step with the page's props, and tells the page what happens. */

import { Rig } from './camera';
import { compose, save } from './capture';
import { Cloud } from './cloud';
import { THEMES, packed, rgb } from './colors';
import { Gatherer } from './gather';
import { HoverCard } from './hover';
import { type Action, KeyList } from './keys';
import { Labels } from './labels';
import { Billboard, Growth } from './landing';
import { Markers } from './markers';
import { Notice } from './notice';
import { Picker, type Sights } from './picking';
import { Pointer } from './pointer';
import { PRESENCE } from './presence';
import { expose } from './probe';
import type { CommandName, FlyTo, Inputs, SetProps } from './props';
import { Scenery } from './scenery';
import { Stage } from './stage';
import { type Ids, Store } from './store';
import { Thumbnails } from './thumbnails';
import { Voice } from './voice';

export class PointMap {
  private readonly stage: Stage;
  private readonly cloud = new Cloud();
  private readonly rig: Rig;
  private readonly picker: Picker;
  private readonly pointer: Pointer;
  private readonly gatherer: Gatherer;
  private readonly labels: Labels;
  private readonly thumbnails: Thumbnails;
  private readonly card: HoverCard;
  private readonly keys: KeyList;
  private readonly markers: Markers;
  private readonly billboard: Billboard;
  private readonly growth: Growth;
  private scenery: Scenery | null = null;
  private store: Store | null = null;
  private ids: Ids | null = null;
  private readonly voice: Voice;
  private readonly conceal: () => void;
  private waiting: FlyTo | null = null;

  /** Throws NoWebgl where there is no WebGL 2. */
  constructor(
    private readonly host: HTMLElement,
    private readonly notice: Notice,
    private props: Inputs,
    tell: SetProps,
  ) {
    this.voice = new Voice(tell);
    this.stage = new Stage(host, props.meta?.n ?? 0, () => this.resized(), (lost) => this.contextChanged(lost));
    this.labels = new Labels(host, this.stage);
    this.billboard = new Billboard(host, this.stage);
    this.thumbnails = new Thumbnails(
      this.stage, this.cloud, () => this.sights, () => [...this.labels.boxes(), ...this.billboard.boxes()],
      () => this.scenery?.place());
    this.card = new HoverCard(host, props.texts);
    this.keys = new KeyList(host);
    this.markers = new Markers(this.cloud);
    this.growth = new Growth(this.stage, () => this.scenery?.place());
    this.rig = new Rig(this.stage, () => this.cameraMoved(), (view) => this.voice.view(view));
    this.picker = new Picker(this.stage, this.cloud, this.thumbnails, () => this.sights);
    this.pointer = new Pointer(host, this.stage, this.rig, this.picker, {
      hovered: (row) => this.hover(row),
      picked: (row) => this.click(row),
      asked: (what) => this.answer(what),
    });
    this.gatherer = new Gatherer(host, this.stage, this.cloud, {
      sights: () => this.sights,
      filter: () => (this.props.highlighted?.length ? null : this.props.matchesUrl),
      begun: () => this.pointer.letGo(),
      selected: (some) => void this.scenery?.select(some).catch((error: unknown) => this.failed(error)),
      failed: (error) => this.failed(error),
    });
    this.stage.scene.add(this.cloud.points, this.markers.group);
    this.stage.onRest(() => this.pointer.lookAgain());
    this.stage.afterFrame(() => {
      this.billboard.follow();
      this.labels.follow(this.scenery?.leading(), this.billboard.boxes());
      this.thumbnails.follow();
    });
    this.conceal = expose(host, this.stage, this.cloud, this.rig, this.thumbnails, () => this.ids);
    this.dress();
    this.speak();
    this.inset();
    if (props.view) this.rig.place(props.view);
    this.voice.heard(this.rig.view());
    void this.load();
  }

  /** Follow the page: only what changed is done again. */
  update(next: Inputs): void {
    const before = this.props;
    this.props = next;
    const changed = (...names: (keyof Inputs)[]): boolean => names.some((name) => before[name] !== next[name]);
    if (changed('theme')) this.dress();
    if (changed('texts')) this.speak();
    if (changed('insets')) this.inset();
    if (changed('view') && next.view && !this.voice.knows(next.view)) this.rig.fly(next.view);
    if (next.meta?.version !== before.meta?.version || changed('api')) void this.load();
    if (this.scenery) this.restage(this.scenery, changed);
    if (changed('flyTo') && next.flyTo && next.flyTo.nonce !== before.flyTo?.nonce) this.fly(next.flyTo);
    if (changed('savePng') && next.savePng !== null) this.savePng();
  }

  dispose(): void {
    this.store?.dispose();
    for (const part of [
      this.voice, this.pointer, this.rig, this.gatherer, this.labels, this.billboard, this.thumbnails, this.card,
      this.keys, this.markers, this.cloud, this.stage,
    ]) part.dispose();
    this.conceal();
  }

  private restage(scenery: Scenery, changed: (...names: (keyof Inputs)[]) => boolean): void {
    scenery.adopt(this.props);
    if (changed('space')) void this.go(scenery);
    if (changed('trajectory')) this.growth.to(this.props.trajectory?.[scenery.space]?.length ?? 0);
    if (changed('labels', 'palette', 'theme', 'colorBy')) scenery.name();
    if (changed('selected', 'neighbors', 'landing', 'trajectory', 'accent', 'theme')) scenery.place();
    const tones = changed(
      'colorBy', 'similarityUrl', 'highlighted', 'matchesUrl', 'selected', 'neighbors', 'landing', 'palette', 'theme');
    if (tones) scenery.paint().catch((error: unknown) => this.failed(error));
  }

  /** Fetch the first map and show it as it comes. */
  private async load(): Promise<void> {
    this.store?.dispose();
    this.thumbnails.close();
    this.scenery = null;
    this.gatherer.clear();
    const { meta, space, api, theme, texts } = this.props;
    const about = meta?.spaces[space];
    if (!meta || !about) return;
    const begun = performance.now();
    const store = new Store(api, meta);
    this.store = store;
    this.host.dataset['ready'] = 'false';
    this.cloud.allot(meta.n, packed(rgb(THEMES[theme].rest)), PRESENCE.soft);
    this.notice.progress(texts, 0, meta.n);
    try {
      const unit = about.scale / about.radius;
      const array = await store.points(space, (rows, part) => {
        if (this.store !== store) return;
        this.cloud.reveal({ array: part, unit }, rows);
        this.notice.progress(texts, rows / meta.n, meta.n);
        this.stage.invalidate();
      });
      if (this.store !== store) return;
      this.cloud.reveal({ array, unit }, meta.n);
      this.rig.settle(this.cloud.extent(), false);
      this.voice.heard(this.rig.view());
      // Only now: the cloud can be seen without them.
      const ids = await store.ids();
      if (this.store !== store) return;
      this.ids = ids;
      this.settle(store, ids, space);
      this.notice.hide();
      this.stage.draw();
      Object.assign(this.host.dataset, { ready: 'true', points: String(meta.n), space });
      this.voice.ready(meta.n, performance.now() - begun, store.bytes);
    } catch (error) {
      if (this.store === store) this.failed(error);
    }
  }

  /** Put everything else on the ground that the first map gave. */
  private settle(store: Store, ids: Ids, space: string): void {
    const scenery = new Scenery(
      this.stage, this.cloud, this.markers, this.labels, this.billboard, this.growth, this.thumbnails,
      this.props, { store, ids }, space);
    this.scenery = scenery;
    this.growth.to(this.props.trajectory?.[space]?.length ?? 0);
    scenery.name();
    scenery.place();
    scenery.paint(0).catch((error: unknown) => this.failed(error));
    this.thumbnails.open(store, ids);
    if (this.props.space !== space) void this.go(scenery);
    const flight = this.waiting ?? this.props.flyTo;
    this.waiting = null;
    if (flight) this.fly(flight);
  }

  /** Morph to the space that the page asks for. */
  private async go(scenery: Scenery): Promise<void> {
    const { space } = this.props;
    if (!this.store || !this.store.meta.spaces[space]) return;
    try {
      const array = await this.store.points(space);
      if (this.props.space !== space || this.scenery !== scenery) return;
      this.card.hide();
      scenery.go(space, array, () => {
        this.host.dataset['space'] = space;
        if (this.waiting) this.fly(this.waiting);
      });
      this.rig.settle(this.cloud.extent(), true);
    } catch (error) {
      this.failed(error);
    }
  }

  private fly(to: FlyTo): void {
    const { scenery, store } = this;
    this.waiting = scenery && !scenery.morphing ? null : to;
    if (!scenery || !store || this.waiting) return;
    if (to.target === 'reset') {
      this.rig.goHome();
      return;
    }
    scenery.sight(to).then((sight) => {
      if (sight) this.rig.fly(this.rig.framing(sight.at, sight.radius));
    }, (error: unknown) => this.failed(error));
  }

  /** Where picking looks; null while there is nothing to pick from. */
  private get sights(): Sights | null {
    const { store, scenery } = this;
    return store && scenery && !scenery.morphing ? { store, space: scenery.space } : null;
  }

  private hover(row: number): void {
    const id = row < 0 ? undefined : this.ids?.list[row];
    this.stage.canvas.style.cursor = id === undefined ? '' : 'pointer';
    if (id === undefined || !this.store) this.card.hide();
    else this.card.show(id, this.thumbnails.disc(row) ?? this.cloud.disc(row, this.stage), this.store);
    this.voice.hovered(id ?? null);
  }

  private click(row: number): void {
    const id = this.ids?.list[row];
    if (id !== undefined) this.voice.clicked(id);
  }

  private answer(what: Action): void {
    if (what === 'help') this.keys.toggle(this.props.texts);
    else if (what === 'lasso') this.gatherer.toggle();
    else if (what === 'clear' && this.gatherer.clear()) return;
    else if (what === 'reset') this.fly({ target: 'reset', nonce: this.voice.nonce() });
    else if (what === 'fly') {
      this.fly({ target: this.props.selected === null ? 'landing' : 'selection', nonce: this.voice.nonce() });
    } else {
      this.voice.command(what as CommandName);
    }
  }

  private savePng(): void {
    const { theme, accent, attribution } = this.props;
    const sheet = compose(this.stage, { names: this.labels.visible(), picture: this.billboard.visible() }, {
      attribution, accent: accent[theme], ink: THEMES[theme].ink, ground: THEMES[theme].ground,
    });
    save(sheet, `latent-explorer-${this.scenery?.space ?? 'map'}.png`);
  }

  private speak(): void {
    for (const part of [this.card, this.gatherer]) part.speak(this.props.texts);
  }

  private inset(): void {
    this.stage.inset(this.props.insets);
    this.gatherer.inset(this.props.insets);
  }

  private dress(): void {
    const { ground } = THEMES[this.props.theme];
    this.host.dataset['theme'] = this.props.theme;
    this.host.style.backgroundColor = ground;
    const [r, g, b] = rgb(ground);
    this.cloud.uniforms.ground.value.setRGB(r / 255, g / 255, b / 255);
    this.stage.ground(ground);
  }

  private resized(): void {
    this.cloud.resize(this.stage);
    this.markers.resize(this.stage.ratio);
    this.thumbnails.resize();
    this.rig.resized();
  }

  private cameraMoved(): void {
    this.cloud.uniforms.fog.value.set(Math.max(0.3, this.rig.distance - 0.35), this.rig.distance + 2.2);
    this.card.hide();
  }

  private contextChanged(lost: boolean): void {
    this.host.dataset['context'] = lost ? 'lost' : 'ok';
    if (lost) this.thumbnails.lose();
    if (lost) this.notice.problem(this.props.texts['contextLost'] ?? '');
    else this.notice.hide();
  }

  private failed(error: unknown): void {
    if (error instanceof DOMException && error.name === 'AbortError') return;
    const { texts } = this.props;
    const detail = error instanceof Error ? error.message : String(error);
    this.notice.problem(texts['failed'] ?? '', detail, texts['retry'] ?? '', () => void this.load());
  }
}
