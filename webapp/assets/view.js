/** How the page looks: what the map is told about colors, room and ground; light or dark; panels put away. */
'use strict';

(() => {
  const explorer = ((window.dash_clientside ??= {}).explorer ??= {});
  const setProps = (id, props) => window.dash_clientside.set_props(id, props);
  const NARROW = 760; // CSS pixels; the style sheet has the same

  /**
   * What the map colors by, and where the similarities come from: to the query, else to the picture in view. An axis is
   * a similarity too, to the difference of two phrases.
   */
  function colors(color, query, picture, done, uploaded, space, axis, config) {
    const base = `/api/v/${config.version}`;
    if (color === 'axis') {
      const along = axis ? `${base}/clip/similarity.bin?${new URLSearchParams({ axis })}` : null;
      return ['similarity', along, color, space, space];
    }
    const id = query?.like ?? picture;
    let url = null;
    // words are compared in CLIP, whichever map is in view
    if (query?.text) url = `${base}/clip/similarity.bin?${new URLSearchParams({ text: query.text })}`;
    else if (id != null) url = `${base}/${space}/similarity.bin?id=${id}`;
    else if (uploaded) url = `${base}/${space}/similarity.bin?upload=${encodeURIComponent(uploaded.upload)}`;
    else if (done) url = `${base}/${space}/similarity.bin?job=${encodeURIComponent(done)}`;
    return [color, color === 'similarity' ? url : null, color, space, space];
  }

  /** The search line and its strip say what the address says. */
  function searched(query, where) {
    return [query?.text ?? '', query?.split ?? 'train', !query && !where];
  }

  /** Light or dark, kept in this browser. */
  function theme(clicks, _stamp, kept) {
    const turned = window.dash_clientside.callback_context.triggered_id === 'theme-button' && clicks;
    const now = kept === 'light' ? 'light' : 'dark';
    const next = turned ? (now === 'light' ? 'dark' : 'light') : now;
    return [next, next, turned ? next : window.dash_clientside.no_update];
  }

  /** All panels away, and back. */
  function hide(clicks) {
    if (!clicks) return;
    document.getElementById('shell').classList.toggle('panels-away');
    room();
  }

  const count = (clicks) => clicks || window.dash_clientside.no_update;

  function reset(clicks) {
    if (clicks) explorer.fly('reset');
  }

  /** The list of keys is the map's; ask it the way a keyboard would. */
  function keys(clicks) {
    if (!clicks) return;
    const map = document.querySelector('#map [tabindex], #map');
    map.focus();
    map.dispatchEvent(new KeyboardEvent('keydown', { key: '?', bubbles: true }));
  }

  const opened = (...clicks) => (clicks.some(Boolean) ? true : window.dash_clientside.no_update);

  /** The dialog of audits is open as long as the address has a part for it: one audit, or the list of them. */
  const audited = (audit) => audit != null;

  function listAudits(clicks) {
    if (clicks) explorer.go({ audit: 'list' });
  }

  /** Closing the dialog takes its part of the address away. */
  function leaveAudits(opened, audit) {
    if (opened === false && audit) explorer.go({ audit: null });
  }

  /** Tell the map what covers it, so that it centers the cloud in what is free. */
  function room() {
    const side = (selector) => {
      const box = document.querySelector(selector)?.getBoundingClientRect();
      return box && box.width && box.height ? box : null;
    };
    const narrow = window.innerWidth <= NARROW;
    const [top, left, right, way, found, tabs] = ['.top', '.left', '.right', '.way', '.found', '.sheets'].map(side);
    const strip = way ?? found;
    const below = narrow ? (left ?? right ?? strip ?? tabs) : strip;
    const insets = {
      left: !narrow && left ? left.right : 0,
      right: !narrow && right ? window.innerWidth - right.left : 0,
      top: top?.bottom ?? 0,
      bottom: below ? window.innerHeight - below.top : 0,
    };
    setProps('map', { insets });
  }

  /** Keep `room` true while panels and window change their size. */
  function watch(ready) {
    if (!ready) return;
    const observer = new ResizeObserver(room);
    for (const name of ['.left', '.right', '.top', '.way', '.found', '.sheets']) {
      const element = document.querySelector(name);
      if (element) observer.observe(element);
    }
    window.addEventListener('resize', room);
    room();
  }

  Object.assign(explorer, {
    colors, searched, theme, hide, count, reset, keys, opened, watch, audited, listAudits, leaveAudits,
    same: (value) => value,
  });
})();
