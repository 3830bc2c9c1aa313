/** What the page's buttons, its map and its search line do: nearly all of it is a change of the address. */
'use strict';

(() => {
  const explorer = ((window.dash_clientside ??= {}).explorer ??= {});
  const setProps = (id, props) => window.dash_clientside.set_props(id, props);

  /** Whether the next selection is one to fly to: one from a list or a link, not a click in the map itself. */
  let flying = true;
  /** The list that the keys `[` and `]` walk along, and where they are in it. */
  let walk = { ids: [], at: -1 };

  function fly(target, more = {}) {
    setProps('map', { flyTo: { target, ...more, nonce: `${target}-${performance.now()}` } });
  }

  /** Whether this browser can draw the map at all; without it a place in it is shown by a picture. */
  const drawn = () => document.getElementById('map')?.dataset.ready !== 'unsupported';

  function open(id) {
    if (explorer.parts().id === String(id)) fly('selection');
    flying = true;
    explorer.go({ id, audit: null }); // the dialog would cover it
  }

  /** Put a finished picture's recipe back into the form. */
  async function recipe(job) {
    const answer = await fetch(`/api/jobs/${encodeURIComponent(job)}`);
    if (!answer.ok) return;
    const { prompt, seed, steps, guidance } = (await answer.json()).recipe;
    for (const [id, value] of Object.entries({ prompt, seed, steps, guidance })) setProps(id, { value });
    show('studio');
  }

  /** Fly to a cluster; where there is no map, its own first example is opened. */
  function toCluster(cluster, level, button) {
    if (drawn()) fly('cluster', { cluster, level });
    else if (button.dataset.example) open(Number(button.dataset.example));
  }

  /** What buttons do, by the name in their `data-do`, to what is in their `data-to`; some ask where they stand. */
  const DEEDS = {
    open: (id) => open(Number(id)),
    like: (id) => explorer.go({ like: id, q: null }),
    landing: () => fly('landing'),
    cluster: (cluster, button) => toCluster(Number(cluster), 0, button),
    subcluster: (cluster, button) => toCluster(Number(cluster), 1, button),
    job: (job) => { flying = true; explorer.go({ job, id: null, upload: null }); },
    prompt: (text) => { setProps('prompt', { value: text }); show('studio'); },
    recipe,
    'delete-made': (job, button) => explorer.deleteMade(job, button),
    'end-search': () => explorer.go({ q: null, like: null, split: null, where: null }),
    'let-go': () => explorer.go({ id: null }),
    'let-go-upload': () => explorer.go({ upload: null }),
    reveal: (id) => setProps('revealed', { data: Number(id) }),
    way: () => explorer.openWay(),
    noise: () => explorer.openNoise(),
    'way-close': () => explorer.closeWay(),
    beside: (job) => explorer.compare(job),
    branch: () => void explorer.branch(),
    play: () => explorer.play(),
    bring: () => explorer.choosePicture(),
    'bring-close': () => explorer.leavePicture(),
    filter: () => box('filter'),
    audit: (name) => explorer.go({ audit: name }),
    'audit-cluster': (cluster) => {
      explorer.go({ audit: null });
      fly('cluster', { cluster: Number(cluster), level: 0 });
    },
    axis: (ends) => explorer.go({ axis: JSON.parse(ends).join('\n'), color: 'axis', audit: null }),
    landed,
    unfilter,
    sheet: (name) => show(name),
  };

  /** Show where a picture of an audit has landed. */
  function landed(place) {
    explorer.go({ audit: null });
    setProps('map', { landing: JSON.parse(place) });
    fly('landing');
  }

  /** The two ends of an axis, once both are written. */
  document.addEventListener('change', (event) => {
    if (!event.target.closest?.('.axis-end')) return;
    const ends = [...document.querySelectorAll('.axis-end input')].map((end) => end.value.trim());
    if (ends.length === 2 && ends.every(Boolean)) explorer.go({ axis: ends.join('\n') });
  });

  /** Open a box below the search line, or close it if it is open. */
  function box(name) {
    const shell = document.getElementById('shell');
    shell.dataset.box = shell.dataset.box === name ? 'none' : name;
    if (shell.dataset.box === 'filter') document.getElementById('filter-value')?.focus();
  }

  /** Take one condition away. */
  function unfilter(at) {
    const lines = (explorer.parts().where ?? '').split('\n').filter((_, line) => line !== Number(at));
    explorer.go({ where: lines.join('\n') || null });
  }

  /** Conditions that the form has made. */
  function wished(where) {
    if (!where) return;
    explorer.go({ where });
    document.getElementById('shell').dataset.box = 'none';
    show('found');
  }

  /** Whether the choice beside it has its value in it already, such as `= null`. */
  const needsValue = (choice) => (choice ?? '').includes(' ');

  document.addEventListener('click', (event) => {
    const button = event.target.closest?.('button[data-do]');
    if (button) void DEEDS[button.dataset.do]?.(button.dataset.to, button);
  });

  /** A click in the map selects; the camera stays where the visitor has it. */
  function clicked(point) {
    if (point?.id == null) return;
    flying = false;
    explorer.go({ id: point.id });
    show('here');
  }

  /** Keys that the map hands on. */
  function commanded(command, neighbors, found) {
    if (!command) return;
    if (command.name === 'search') document.getElementById('search')?.focus();
    else if (command.name === 'clear') clear();
    else step(command.name === 'next' ? 1 : -1, found?.length ? found : neighbors);
  }

  /** Close the box first, a way then, let go of the selection after it, of the search and the filter last. */
  function clear() {
    const shell = document.getElementById('shell');
    const { id, q, like, job, way, noise } = explorer.parts();
    if (shell.dataset.box !== 'none') shell.dataset.box = 'none';
    else if ((noise && id) || (way && job)) explorer.closeWay();
    else if (id) explorer.go({ id: null });
    else if (q || like) explorer.go({ q: null, like: null, split: null });
    else explorer.go({ where: null });
  }

  function step(by, ids) {
    const here = Number(explorer.parts().id);
    if (walk.ids[walk.at] !== here || !walk.ids.length) walk = { ids: ids ?? [], at: by > 0 ? -1 : 0 };
    if (!walk.ids.length) return;
    walk.at = (walk.at + by + walk.ids.length) % walk.ids.length;
    open(walk.ids[walk.at]);
  }

  /** Enter in the search line; an empty line ends the search. */
  function search(submitted, text) {
    if (!submitted) return;
    const words = (text ?? '').trim();
    explorer.go({ q: words || null, like: null, split: words ? explorer.parts().split : null });
    if (words) show('found');
  }

  /** The cross in the search line. */
  function unsearch(clicks) {
    if (!clicks) return;
    explorer.go({ q: null, like: null, split: null });
    document.getElementById('search')?.focus();
  }

  /** A switch was moved; that a switch follows the address is no move. */
  function choose(space, color, split, config) {
    const now = explorer.parts();
    const rest = { space: config.spaces[0], color: 'cluster', split: 'train' };
    const moved = { 'space-control': { space }, 'color-control': { color }, 'found-split': { split } };
    const changes = {};
    for (const { prop_id: name } of window.dash_clientside.callback_context.triggered) {
      Object.assign(changes, moved[name.split('.')[0]]);
    }
    for (const [part, value] of Object.entries(changes)) {
      if (value === (now[part] ?? rest[part])) delete changes[part];
      else if (value === rest[part]) changes[part] = null;
    }
    if (Object.keys(changes).length) explorer.go(changes);
  }

  /** The picture that the map rings, and whether the camera goes there. */
  function selected(picture) {
    const flight = picture != null && flying;
    flying = false;
    const nonce = `picture-${picture}-${performance.now()}`;
    return [picture, flight ? { target: 'selection', nonce } : window.dash_clientside.no_update];
  }

  /** On a small screen, slide a panel's sheet up; elsewhere every panel is in its place already. */
  function show(name) {
    document.getElementById('shell').dataset.sheet = name;
    for (const tab of document.querySelectorAll('.sheet-tab')) {
      tab.setAttribute('aria-current', String(tab.dataset.to === name));
    }
  }

  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !event.target.closest?.('.box')) return;
    document.getElementById('shell').dataset.box = 'none';
    document.getElementById('search')?.focus();
  });

  Object.assign(explorer, {
    clicked, commanded, search, unsearch, choose, selected, show, fly, wished, needsValue, box,
  });
})();
