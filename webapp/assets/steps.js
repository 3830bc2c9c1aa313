/**
 * Where the steps of a way come from: a job's events, or the lines of a picture's way into noise.
 *
 * A way is {name, steps, total, phase, recipe, decided, lost, error, noise, address, source, close}; `phase` is waiting,
 * running, done, stopped or failed. `look` is called whenever more of it is known.
 */
'use strict';

(() => {
  const explorer = ((window.dash_clientside ??= {}).explorer ??= {});
  const AT_ONCE = 2; // jobs that are listened to: a browser has few connections to a server

  /** A job's way; nobody listens yet. */
  const job = (name) => ({ name, steps: [], total: 0, phase: 'waiting' });

  /** Listen to the jobs of `ways()` in turn until all have told all; they also run one after the other. */
  function listen(ways, look) {
    const open = ways().filter((way) => way.source);
    const next = ways().filter((way) => !way.noise && !way.source && ['waiting', 'running'].includes(way.phase));
    for (const way of next.slice(0, Math.max(0, AT_ONCE - open.length))) hear(way, ways, look);
  }

  /** Hear a job's events from its first on. */
  function hear(way, ways, look) {
    const source = way.source = new EventSource(`/api/jobs/${encodeURIComponent(way.name)}/events`);
    way.steps = [];
    way.close = () => { source.close(); way.source = null; };
    const on = (kind, change) => source.addEventListener(kind, (event) => {
      change(JSON.parse(event.data));
      look();
    });
    const ended = (phase) => { way.phase = phase; way.close(); listen(ways, look); };
    on('running', ({ recipe }) => { Object.assign(way, { recipe, phase: 'running' }); });
    on('step', (told) => { way.steps.push(told); way.total = told.steps; });
    on('done', ({ recipe, decided }) => { Object.assign(way, { recipe, decided }); ended('done'); });
    for (const kind of ['failed', 'interrupted', 'cancelled']) on(kind, () => ended('stopped'));
    source.addEventListener('error', () => {
      if (source.readyState !== EventSource.CLOSED || way.phase === 'done') return;
      ended('stopped');
      look();
    });
  }

  /** A picture's way into noise, read line by line; leaving stops the work. */
  function noised(name, address, look) {
    const leave = new AbortController();
    const way = { name, steps: [], total: 0, phase: 'waiting', noise: true, address, close: () => leave.abort() };
    void read(way, leave.signal, look).catch((error) => {
      if (error.name !== 'AbortError') way.phase = 'failed';
      look();
    });
    return way;
  }

  async function read(way, signal, look) {
    const answer = await fetch(way.address, { signal });
    if (!answer.ok) {
      Object.assign(way, { phase: 'failed', error: (await answer.json()).error });
      look();
      return;
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const line of lines) take(way, JSON.parse(line));
      look();
    }
    if (way.phase !== 'done') way.phase = 'stopped';
    look();
  }

  function take(way, told) {
    if (told.kind === 'done') Object.assign(way, { phase: 'done', lost: told.lost });
    else { way.steps.push(told); way.total = told.steps; }
  }

  explorer.steps = { job, listen, noised };
})();
