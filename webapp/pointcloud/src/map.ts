/** The map as a whole: it keeps its parts in step with the page's props, and tells the page what happens. */

import { Arrival } from './arrival';
import { Rig } from './camera';
import { compose, save } from './capture';
import { Cloud } from './cloud';
import { THEMES, rgb } from './colors';
import { Gatherer } from './gather';
import { HoverCard } from './hover';
import { type Action, KeyList } from './keys';
import { Labels } from './labels';
import { Billboards, Growth } from './landing';
import { Markers } from './markers';
import type { Notice } from './notice';
import { Picker } from './picking';
import { Pointer } from './pointer';
import { expose } from './probe';
import type { CommandName, FlyTo, Inputs, SetProps } from './props';
import type { Scenery } from './scenery';
import { Stage } from './stage';
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
  private readonly billboards: Billboards;
  private readonly growth: Growth;
  private readonly arrival: Arrival;
  private readonly voice: Voice;
  private readonly conceal: () => void;
  /** A flight for which the cloud does not stand yet. */
  private waiting: FlyTo | null = null;
  /** Raised by every flight: an answer to an earlier one is too late. */
  private flights = 0;
  /** A picture of the view is wished for as soon as there is a context again. */
  private unsaved = false;

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
    this.billboards = new Billboards(host, this.stage);
    this.thumbnails = new Thumbnails(
      this.stage, this.cloud, () => this.arrival.sights, () => [...this.labels.boxes(), ...this.billboards.boxes()],
      () => this.arrival.scenery?.place(), this.failed);
    this.card = new HoverCard(host, props.texts);
    this.keys = new KeyList(host);
    this.markers = new Markers(this.cloud);
    this.growth = new Growth(this.stage, () => this.arrival.scenery?.place());
    this.gatherer = new Gatherer(host, this.stage, this.cloud, {
      sights: () => this.arrival.sights,
      filter: () => this.props.matchesUrl,
      begun: () => {
        this.pointer.letGo();
        this.rig.halt();
      },
      selected: (some) => void this.arrival.scenery?.select(some).catch(this.failed),
    });
    this.rig = new Rig(this.stage, () => this.cameraMoved(), (view) => this.voice.view(view));
    this.picker = new Picker(this.stage, this.cloud, this.thumbnails, () => this.arrival.sights);
    this.pointer = new Pointer(host, this.stage, this.rig, this.picker, {
      hovered: (row) => this.hover(row),
      picked: (row) => this.click(row),
      asked: (what) => this.answer(what),
      failed: this.failed,
    });
    this.arrival = this.arriving();
    this.stage.scene.add(this.cloud.points, this.markers.group);
    this.stage.onRest(() => this.pointer.lookAgain());
    this.stage.afterFrame(() => {
      this.billboards.follow();
      this.labels.follow(this.arrival.scenery?.leading(), this.billboards.boxes());
      this.thumbnails.follow();
    });
    this.conceal = expose(host, this.stage, this.cloud, this.rig, this.thumbnails, () => this.arrival.ids);
    this.dress();
    this.speak();
    this.inset();
    if (props.view) this.rig.place(props.view);
    this.voice.heard(this.rig.view());
    void this.arrival.load();
  }

  private arriving(): Arrival {
    const { host, notice, stage, cloud, rig, markers, labels, billboards, growth, thumbnails, voice } = this;
    return new Arrival(
      { host, notice, stage, cloud, rig, markers, labels, billboards, growth, thumbnails, voice }, {
        props: () => this.props,
        begun: () => {
          this.waiting ??= this.props.flyTo;
          this.gatherer.clear();
        },
        leaves: () => {
          this.card.hide();
          this.gatherer.moved(); // a line that is begun goes around something else there
        },
        stands: () => this.stands(),
        failed: this.failed,
      });
  }

  /** Follow the page: only what changed is done again. */
  update(given: Inputs): void {
    const before = this.props;
    // The page finds the same anew where something beside it has changed, such as the map.
    const next = alike(before.highlighted, given.highlighted) ? { ...given, highlighted: before.highlighted } : given;
    this.props = next;
    const changed = (...names: (keyof Inputs)[]): boolean => names.some((name) => before[name] !== next[name]);
    if (changed('theme')) this.dress();
    if (changed('texts')) this.speak();
    if (changed('insets')) this.inset();
    if (changed('view') && next.view && !this.voice.knows(next.view)) this.rig.fly(next.view);
    if (next.meta?.version !== before.meta?.version || changed('api')) void this.arrival.load();
    if (this.arrival.scenery) this.restage(this.arrival.scenery, changed);
    if (changed('flyTo') && next.flyTo && next.flyTo.nonce !== before.flyTo?.nonce) this.fly(next.flyTo);
    if (changed('savePng') && next.savePng !== null) this.savePng();
  }

  dispose(): void {
    this.arrival.dispose();
    for (const part of [
      this.voice, this.pointer, this.rig, this.gatherer, this.labels, this.billboards, this.thumbnails, this.card,
      this.keys, this.markers, this.cloud, this.stage,
    ]) part.dispose();
    this.conceal();
  }

  private restage(scenery: Scenery, changed: (...names: (keyof Inputs)[]) => boolean): void {
    scenery.adopt(this.props);
    if (changed('space')) {
      this.flights += 1;
      void this.arrival.go();
    }
    // What is found or filtered anew is what the visitor wants to see now, and no longer what a lasso holds.
    if (changed('highlighted', 'matchesUrl')) this.gatherer.clear();
    if (changed('trajectory')) this.growth.to(this.props.trajectory?.[scenery.space]?.length ?? 0);
    if (changed('labels', 'palette', 'theme', 'colorBy')) scenery.name();
    if (changed('selected', 'neighbors', 'landing', 'trajectory', 'way', 'accent', 'theme')) scenery.place();
    const tones = changed(
      'colorBy', 'similarityUrl', 'highlighted', 'matchesUrl', 'selected', 'neighbors', 'landing', 'way', 'palette',
      'theme');
    if (tones) scenery.paint().catch(this.failed);
  }

  private fly(to: FlyTo): void {
    const { scenery } = this.arrival;
    this.waiting = scenery && !scenery.morphing ? null : to;
    if (!scenery || this.waiting) return;
    this.flights += 1;
    if (to.target === 'reset') {
      this.rig.goHome();
      return;
    }
    const [turn, { journeys }, { space }] = [this.flights, this.rig, scenery];
    scenery.sight(to).then((sight) => {
      const late = turn !== this.flights || journeys !== this.rig.journeys || space !== this.arrival.scenery?.space;
      if (sight && !late) this.rig.fly(this.rig.framing(sight.at, sight.radius));
    }, this.failed);
  }

  /** The cloud stands in a map: what has waited for that flies now. */
  private stands(): void {
    const flight = this.waiting;
    this.waiting = null;
    if (flight) this.fly(flight);
  }

  private hover(row: number): void {
    const { ids, store } = this.arrival;
    const id = row < 0 ? undefined : ids?.list[row];
    this.stage.canvas.style.cursor = id === undefined ? '' : 'pointer';
    if (id === undefined || !store) this.card.hide();
    else this.card.show(id, this.thumbnails.disc(row) ?? this.cloud.disc(row, this.stage), store);
    this.voice.hovered(id ?? null);
  }

  private click(row: number): void {
    const id = this.arrival.ids?.list[row];
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
    this.unsaved = this.stage.lost; // there is nothing to save before the context comes back
    if (this.unsaved) return;
    const { theme, accent, attribution } = this.props;
    const sheet = compose(this.stage, { names: this.labels.visible(), picture: this.billboards.visible() }, {
      attribution, accent: accent[theme], ink: THEMES[theme].ink, ground: THEMES[theme].ground,
    });
    save(sheet, `latent-explorer-${this.arrival.scenery?.space ?? 'map'}.png`);
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
    this.gatherer.moved();
  }

  private cameraMoved(): void {
    this.cloud.uniforms.fog.value.set(Math.max(0.3, this.rig.distance - 0.35), this.rig.distance + 2.2);
    this.card.hide();
    this.gatherer.moved();
  }

  private contextChanged(lost: boolean): void {
    this.host.dataset['context'] = lost ? 'lost' : 'ok';
    if (lost) this.thumbnails.lose();
    if (lost) this.notice.problem('context', this.props.texts['contextLost'] ?? '');
    else this.notice.hide('context');
    if (!lost && this.unsaved) this.savePng();
  }

  private readonly failed = (error: unknown): void => {
    if (error instanceof DOMException && error.name === 'AbortError') return;
    const { texts } = this.props;
    const detail = error instanceof Error ? error.message : String(error);
    this.notice.problem('failed', texts['failed'] ?? '', detail, texts['retry'] ?? '', () => void this.arrival.load());
  };
}

function alike(some: readonly number[] | null, others: readonly number[] | null): boolean {
  return some === others || (some?.length === others?.length && Boolean(some?.every((id, i) => id === others?.[i])));
}
