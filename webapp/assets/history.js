/**
 * The pictures that were made in this browser: their names in the store `history`, newest first, and the keys that
 * delete them in `history-keys`. The keys stand in no address: a link that is shared shows a picture, and no more.
 */
'use strict';

(() => {
  const explorer = ((window.dash_clientside ??= {}).explorer ??= {});
  const setProps = (id, props) => window.dash_clientside.set_props(id, props);
  const KEPT = 100; // jobs that are remembered, with the keys without which nobody can delete them
  const PATIENCE = 5000; // ms in which a second click deletes

  let jobs = [];
  let keys = {};

  /** What this browser has in its stores, here and from other tabs. */
  function remembered(stored, claimed) {
    jobs = stored ?? [];
    keys = claimed ?? {};
  }

  /** A job that this page has just handed in: go to it, and remember it in this browser. */
  function submitted(job, history) {
    if (!job) return window.dash_clientside.no_update;
    explorer.go({ job: job.job, id: null, upload: null });
    return [job.job, ...(history ?? []).filter((other) => other !== job.job)].slice(0, KEPT);
  }

  /** Jobs that scripts have handed in, [{job, key}, ...]: remember them, and stay where the visitor is. */
  function keep(tickets) {
    const mine = Object.fromEntries(tickets.map(({ job, key }) => [job, key]));
    const names = [...Object.keys(mine), ...jobs.filter((other) => !(other in mine))].slice(0, KEPT);
    setProps('history', { data: names });
    setProps('history-keys', { data: { ...only(keys, names), ...mine } });
  }

  const only = (claims, names) => Object.fromEntries(Object.entries(claims).filter(([job]) => names.includes(job)));

  /** Its key, beside those of the other jobs that are still remembered. */
  function claimed(job, known) {
    if (!job?.key) return window.dash_clientside.no_update;
    return { ...only(known ?? {}, jobs), [job.job]: job.key };
  }

  let looked = false;
  /** A page opened afresh takes up the newest job of this browser, if it is not finished yet. */
  async function reattach(_stamp, history) {
    const newest = history?.[0];
    if (looked || !newest || explorer.parts().job) return;
    looked = true;
    const answer = await fetch(`/api/jobs/${encodeURIComponent(newest)}`);
    const state = answer.ok ? (await answer.json()).state : null;
    if (state === 'queued' || state === 'running') explorer.go({ job: newest });
  }

  /** The first click asks, a second one soon after deletes picture, steps and report for good. */
  async function deleteMade(job, button) {
    if (!('armed' in button.dataset)) {
      button.dataset.armed = '';
      setTimeout(() => { delete button.dataset.armed; }, PATIENCE);
      return;
    }
    delete button.dataset.armed;
    const { done, failed } = button.dataset;
    const headers = { 'X-Maker-Key': keys[job] ?? '' };
    const answer = await fetch(`/api/jobs/${encodeURIComponent(job)}`, { method: 'DELETE', headers }).catch(() => null);
    const gone = answer?.ok || answer?.status === 404;
    setProps('history-said', { children: gone ? done : failed });
    if (!gone) return;
    const left = jobs.filter((other) => other !== job);
    setProps('history', { data: left });
    setProps('history-keys', { data: only(keys, left) });
    if (explorer.parts().job === job) explorer.go({ job: null });
  }

  Object.assign(explorer, { remembered, keep, submitted, claimed, reattach, deleteMade });
})();
