/**
 * A job on the server, followed by its events.
 *
 * `explorer.follow(job)` listens to `/api/jobs/JOB/events` and keeps the store `live` as the job's state so far:
 * {job, phase, place, step, steps, preview, nearest, points: {space: [[x, y, z], ...]}, landing, recipe, error}.
 * The store `done` is the job's name once its picture is there, and '' once it has ended without one.
 * All events of a job are sent anew to whoever asks, so a reload or a second tab catches up by the same way.
 */
'use strict';

(() => {
  const explorer = ((window.dash_clientside ??= {}).explorer ??= {});
  const setProps = (id, props) => window.dash_clientside.set_props(id, props);

  let source = null;
  let live = null;
  let asked = 0;

  /** Tell the page, at most once a frame: a job that is caught up with sends all its events at once. */
  function tell(changes) {
    live = { ...live, ...changes };
    asked = asked || requestAnimationFrame(() => {
      asked = 0;
      setProps('live', { data: live });
      if (LAST.has(live?.phase)) setProps('done', { data: live.phase === 'done' ? live.job : '' });
    });
  }

  const HEARD = {
    queued: ({ place }) => ({ phase: 'queued', place }),
    loading: ({ model }) => ({ phase: 'loading', model }),
    running: ({ recipe, steps }) => ({ phase: 'running', recipe, steps, step: 0 }),
    step: ({ step, steps, points, nearest, preview }) => ({
      phase: step < steps ? 'running' : 'landing', step, steps, nearest, points: along(points),
      preview: live.cancelling ? live.preview : preview,
    }),
    done: ({ landing, recipe, image }) => ({ phase: 'done', landing, recipe, preview: image }),
    failed: ({ error }) => ({ phase: 'failed', error, preview: '' }),
    interrupted: () => ({ phase: 'interrupted', preview: '' }),
    cancelled: () => ({ phase: 'cancelled', preview: '' }),
  };
  const LAST = new Set(['done', 'failed', 'interrupted', 'cancelled']);

  /** Each space's way so far with one more step at its end. */
  function along(points) {
    return Object.fromEntries(Object.entries(points).map(([space, point]) =>
      [space, [...(live.points?.[space] ?? []), point]]));
  }

  /** Follow a job, and no other any more. */
  function follow(job) {
    source?.close();
    source = null;
    live = null;
    setProps('done', { data: null });
    if (!job) {
      setProps('live', { data: null });
      return;
    }
    tell({ job, phase: 'submitting' });
    const mine = source = new EventSource(`/api/jobs/${encodeURIComponent(job)}/events`);
    for (const [kind, change] of Object.entries(HEARD)) {
      mine.addEventListener(kind, (event) => {
        if (mine !== source) return;
        tell({ lost: false, ...change(JSON.parse(event.data)) });
        if (LAST.has(kind)) mine.close();
      });
    }
    mine.addEventListener('error', () => {
      if (mine !== source || LAST.has(live?.phase)) return;
      if (mine.readyState === EventSource.CLOSED) tell({ phase: 'gone' });
      else tell({ lost: true });
    });
  }

  /** Stop the job that is being followed, at its next step. */
  function cancel(clicks) {
    if (!clicks || !live || LAST.has(live.phase)) return;
    tell({ cancelling: true });
    void fetch(`/api/jobs/${encodeURIComponent(live.job)}/cancel`, { method: 'POST' });
  }

  const say = (words, name, blanks = {}) =>
    (words[name] ?? '').replace(/\{(\w+)\}/g, (_, blank) => String(blanks[blank] ?? ''));

  /** One line about the job. */
  function said(words) {
    const { phase, place, step, steps, error, lost, cancelling } = live;
    if (lost) return say(words, 'lost');
    if (cancelling && !LAST.has(phase)) return say(words, 'cancelling');
    if (phase === 'queued') return place ? say(words, 'queued', { place }) : say(words, 'queued.next');
    if (phase === 'running') return say(words, 'step', { step, steps });
    return say(words, phase, { error });
  }

  /** What the studio shows of the job: words, bar, pictures, and which buttons can be pressed. */
  function shown(now, space, words, config) {
    const no = window.dash_clientside.no_update;
    if (!now) return [words.empty, 0, '', '', 'live live-idle', true];
    const ended = LAST.has(now.phase) || now.phase === 'gone';
    const part = now.phase === 'done' ? 100 : now.steps ? (100 * (now.step ?? 0)) / now.steps : 0;
    const nearest = now.nearest?.[space];
    const thumbnail = nearest == null || !config.pictures ? '' : `/api/v/${config.version}/thumbnail/${nearest}.webp`;
    const look = `live live-${now.phase}${ended ? ' live-ended' : ''}`;
    return [said(words) || no, part, now.preview ?? '', thumbnail, look, ended];
  }

  let flown = null;
  /** The way through the map, and at its end the picture; the camera goes to it once. */
  function drawn(now, uploaded) {
    const no = window.dash_clientside.no_update;
    if (uploaded) return explorer.brought(uploaded);
    if (!now || ['cancelled', 'failed', 'interrupted', 'gone'].includes(now.phase)) return [null, null, no];
    const places = Object.entries(now.landing?.spaces ?? {}).map(([space, { point }]) => [space, point]);
    if (!places.length) return [now.points ?? null, null, no];
    const { id, way } = explorer.parts(); // to a picture, and to a way that is open, others fly
    const flies = flown !== now.job && !id && !way;
    flown = now.job;
    const landing = { points: Object.fromEntries(places), imageUrl: now.preview };
    return [now.points ?? null, landing, flies ? { target: 'landing', nonce: now.job } : no];
  }

  /** Another seed. */
  function dice(clicks) {
    return clicks ? crypto.getRandomValues(new Uint32Array(1))[0] : window.dash_clientside.no_update;
  }

  Object.assign(explorer, { follow, cancel, shown, drawn, dice });
})();
