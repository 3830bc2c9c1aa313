/** Models load behind the page: say how far they are, and take over what the generator proposes. */
'use strict';

(() => {
  const explorer = ((window.dash_clientside ??= {}).explorer ??= {});
  const setProps = (id, props) => window.dash_clientside.set_props(id, props);
  const EVERY = 1500; // ms

  /** Ask until every model is there or has failed. */
  async function ask() {
    for (;;) {
      const answer = await fetch('/api/state').catch(() => null);
      const state = answer?.ok ? await answer.json() : null;
      if (state) setProps('models', { data: state });
      if (state?.models.every(({ phase }) => phase === 'ready' || phase === 'failed')) return;
      await new Promise((resume) => setTimeout(resume, EVERY));
    }
  }

  let asked = false;
  function waitForModels() {
    if (!asked) void ask();
    asked = true;
  }

  /** One line about models that are not there yet, and the generator's own steps and guidance once it is there. */
  function models(state, words, config, steps, guidance) {
    const no = window.dash_clientside.no_update;
    if (!state) return [words['models.asking'], no, no];
    const named = (part) => words[`models.${part.name}`] ?? part.name;
    const failed = state.models.find(({ phase }) => phase === 'failed');
    const waiting = state.models.filter(({ phase }) => phase === 'waiting' || phase === 'loading').map(named);
    const said = failed
      ? words['models.failed'].replace('{model}', named(failed)).replace('{reason}', failed.reason ?? '')
      : waiting.length ? words['models.loading'].replace('{models}', waiting.join(', ')) : '';
    const own = state.defaults ?? {};
    const untouched = steps === config.steps && guidance === config.guidance;
    return untouched ? [said, own.steps ?? no, own.guidance ?? no] : [said, no, no];
  }

  Object.assign(explorer, { waitForModels, models });
})();
