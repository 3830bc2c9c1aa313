/**
 * The way from noise, or into it, step by step.
 *
 * `way` in the address opens the way of the picture that `job` made, alone (`on`) or beside those of other jobs;
 * `noise` that of the picture in view into noise. A generated picture's way is heard as its job's events, so one that
 * is still being made grows; a way into noise is worked out while it is read, line by line. Whatever is known of the
 * ways goes to the map (its prop `way`), to the store `way-near` (who is near the step, for the server to name) and to
 * the store `way-curves` (the charts' values).
 */
'use strict';

(() => {
  const explorer = ((window.dash_clientside ??= {}).explorer ??= {});
  const setProps = (id, props) => window.dash_clientside.set_props(id, props);
  const MOST = 5; // ways beside the first
  const FRAME = 250; // ms a step, as in the film
  const CALM = 120; // ms between two looks, so that a way that is caught up with is drawn once

  /** Ways that are open, as `steps.js` has them; the first leads. */
  let ways = [];
  let step = 0; // 0 = the last there is
  let space = '';
  let config = {};
  let words = {};
  let history = [];
  let asked = 0;
  let playing = 0;
  let finished = 0;
  let flown = '';

  const say = (name, blanks = {}) =>
    (words[name] ?? '').replace(/\{(\w+)\}/g, (_, blank) => String(blanks[blank] ?? ''));
  /** A stranger's words without what is invisible or turns the others around. */
  const plain = (text) => text.replace(/\p{C}/gu, ' ');
  const element = (type, props) => ({ type, namespace: 'dash_html_components', props });

  /** What the address opens. */
  function followWay(made, picture, beside, noise, inView, settings, table) {
    [space, config, words] = [inView, settings, table];
    const [schedule, medium] = (noise ?? '').split('.');
    const wanted = noise && picture != null ? [`noise/${picture}/${noise}`]
      : beside && made ? [made, ...beside.split(',').filter((name) => name !== 'on' && name !== made)] : [];
    const before = new Map(ways.map((way) => [way.name, way]));
    const query = new URLSearchParams({ schedule, ...(medium ? { medium } : {}) });
    const open = (name) => (noise && picture != null
      ? explorer.steps.noised(name, `/api/v/${config.version}/noise/${picture}?${query}`, look)
      : explorer.steps.job(name));
    if (wanted[0] !== ways[0]?.name) { step = 0; stop(); }
    ways = wanted.map((name) => before.get(name) ?? open(name));
    for (const [name, way] of before) if (!wanted.includes(name)) way.close?.();
    explorer.steps.listen(() => ways, look);
    dress(schedule, medium);
    look();
  }

  /** The panel's own looks: there or not, whose way, what can be done with it. */
  function dress(schedule, medium) {
    const [lead] = ways;
    const panel = document.getElementById('way-panel');
    const opened = panel.hidden && lead;
    setProps('way-panel', { hidden: !lead });
    panel.dataset.kind = lead?.noise ? 'noise' : 'made';
    if (!lead) { setProps('way-choices', { hidden: true }); flown = ''; return; }
    setProps('way-title', { children: words[lead.noise ? 'title.noise' : 'title.made'] });
    if (lead.noise) setProps('way-schedule', { value: schedule });
    if (lead.noise) setProps('way-medium', { value: medium ?? config.medium });
    const [path, query] = (lead.address ?? `/api/jobs/${lead.name}`).split('?');
    const link = (kind, name) => element('A', {
      children: words[name], href: `${path}/way.${kind}${query ? `?${query}` : ''}`, download: `way.${kind}` });
    setProps('way-save', { children: [link('webm', 'save.film'), link('zip', 'save.frames')] });
    if (opened) explorer.show('way-panel');
  }

  /** Draw what is known, soon. */
  function look() {
    asked = asked || setTimeout(() => { asked = 0; draw(); }, CALM);
  }

  const current = () => Math.max(1, Math.min(step || Infinity, ways[0]?.steps.length ?? 1));
  const at = (way, number) => way.steps[Math.min(number, way.steps.length) - 1];

  function draw() {
    const [lead] = ways;
    if (!lead) {
      setProps('map', { way: null });
      setProps('way-curves', { data: null });
      return;
    }
    setProps('way-step', { max: Math.max(1, lead.steps.length), value: current() });
    sketch();
    finish();
    const named = ways.filter((way) => way.steps.length);
    const values = (pick) => Object.fromEntries(named.map((way) => [letter(way), way.steps.map(pick)]));
    setProps('way-curves', { data: {
      similarity: values((told) => told.similarity[space] ?? null),
      entropy: values((told) => told.entropy?.[space] ?? null),
      kept: lead.noise ? values((told) => told.kept?.[space] ?? null) : null,
    } });
  }

  const letter = (way) => String.fromCharCode(65 + ways.indexOf(way));

  /** Tell the history of pictures that are finished now. */
  function finish() {
    const done = ways.filter((way) => !way.noise && way.phase === 'done').length;
    if (done > finished) setProps('history', { data: [...history] });
    finished = done;
  }

  /** Show the step that is scrubbed to. */
  function sketch() {
    const [lead] = ways;
    const number = current();
    const told = at(lead, number);
    setProps('way-preview', { src: told?.preview ?? '' });
    setProps('way-words', { children: told ? about(lead, told) : waiting(lead) });
    setProps('way-means', { children: meaning(lead, told) });
    setProps('way-beside', { children: ways.length > 1 ? ways.map((way) => tile(way, number)) : [] });
    setProps('way-near', { data: told?.neighbors?.[space] ?? [] });
    const paths = ways.filter((way) => way.steps.length).map((way) => ({
      points: along(way), imageUrl: at(way, number).preview, step: Math.min(number, way.steps.length),
    }));
    const way = paths.length ? { paths, neighbors: (told?.neighbors?.[space] ?? []).map(({ id }) => id) } : null;
    setProps('map', { way });
    fly(lead);
  }

  /** The camera goes to a way once in each map, when all of it is there. */
  function fly(lead) {
    const flight = `${space} ${lead.name}`;
    if (flown === flight || lead.phase !== 'done') return;
    const { ready, space: stands } = document.getElementById('map').dataset;
    if (ready === 'true' && stands !== space) { look(); return; } // the cloud is still on its way to that map
    flown = flight;
    explorer.fly('way');
  }

  function along(way) {
    const spaces = Object.keys(way.steps[0].points);
    return Object.fromEntries(spaces.map((name) => [name, way.steps.map(({ points }) => points[name])]));
  }

  function waiting(lead) {
    if (lead.phase === 'failed') return lead.error ? say('failed', lead) : words.unreachable;
    return words[lead.phase === 'waiting' || lead.phase === 'running' ? 'waiting' : 'stopped'];
  }

  /** One line about a step: its number, how near it is, how far from the cloud, how undecided. */
  function about(lead, told) {
    const parts = [say('at', { step: told.step, steps: lead.total })];
    if (lead.noise) parts.push(say('noise', { share: Math.round(100 * (1 - told.signal ** 2)) }));
    const similarity = told.similarity[space];
    const percentile = told.percentile?.[space];
    if (similarity != null) {
      const blanks = { similarity: similarity.toFixed(2), share: share(percentile) };
      parts.push(say(percentile == null ? 'near.plain' : 'near', blanks));
    }
    const distance = told.distance?.[space];
    if (distance != null) parts.push(say('cloud', { distance: distance.toFixed(2) }));
    if (told.kept?.[space] != null) parts.push(say('kept', { kept: told.kept[space], all: told.own[space] }));
    else if (told.entropy?.[space] != null) parts.push(say('spread', { bits: told.entropy[space].toFixed(1) }));
    return parts.join(' · ');
  }

  /** A percentile in words, rounded so that it never claims more than was measured; as `webapp.strings.share`. */
  function share(percentile) {
    if (percentile < 1) return 'almost none';
    return percentile < 99 || percentile >= 100 ? `${Math.floor(percentile)} %` : `${Math.floor(percentile * 10) / 10} %`;
  }

  /** When it was decided, or lost its place; and by what a step stands where it does. */
  function meaning(lead, told) {
    const parts = [];
    const place = lead.lost?.[space];
    if (place) parts.push(place.neighbors ? say('lost', place) : words['lost.never']);
    if (place?.itself) parts.push(say('lost.itself', place));
    if (lead.decided?.[space]) parts.push(say('decided', lead.decided[space]));
    const via = told?.via?.[space];
    if (told) parts.push(words[via ? `stand.${lead.noise ? 'noise' : 'made'}.${via}` : 'stand.none']);
    if (!lead.noise && space === 'vae' && via === 'picture') parts.push(words['via.picture']);
    if (new Set(ways.map(generator).filter(Boolean)).size > 1) parts.push(words.generators);
    return parts.join(' ');
  }

  /** What made a way, once it is known. */
  const generator = ({ recipe }) => recipe && JSON.stringify([recipe.generator, recipe.revision, recipe.lora]);

  /** A way's picture at the step that is scrubbed to, beside the others'. */
  function tile(way, number) {
    const branches = way.recipe?.branches ?? [];
    const seed = branches.length ? branches[branches.length - 1].seed : way.recipe?.seed;
    const name = say('beside', { letter: letter(way), prompt: plain(way.recipe?.prompt ?? '…'), seed: seed ?? '…' });
    const image = element('Img', { src: at(way, number)?.preview ?? '', alt: '', width: 44, height: 44 });
    const face = [image, element('Span', { children: letter(way), className: 'way-letter' })];
    const isLead = way === ways[0];
    return element(isLead ? 'Span' : 'Button', {
      children: face, title: isLead ? name : `${name}. ${say('beside.remove', { letter: letter(way) })}`,
      className: `way-tile${isLead ? ' way-lead' : ''}`,
      ...(isLead ? {} : { 'data-do': 'beside', 'data-to': way.name, 'aria-label': say('beside.remove', { letter: letter(way) }) }),
    });
  }

  /** The slider was moved by hand: what we put it on ourselves is no move. */
  document.addEventListener('input', ({ target }) => {
    if (target.id !== 'way-step' || !ways.length) return;
    step = Number(target.value);
    sketch();
  });

  /** The charts with a line where the step is. */
  function charted(figures, value) {
    const line = { color: 'rgba(128,128,128,0.7)', width: 1, dash: 'dot' };
    const shapes = [{ type: 'line', xref: 'x', yref: 'paper', x0: value, x1: value, y0: 0, y1: 1, line }];
    return (figures ?? []).map(({ data, layout }) => ({ type: 'Graph', namespace: 'dash_core_components', props: {
      figure: { data, layout: { ...layout, shapes } }, className: 'way-chart', responsive: true,
      config: { displayModeBar: false, responsive: true },
    } }));
  }

  function stop() {
    clearInterval(playing);
    playing = 0;
    setProps('way-play', { children: '▶', title: words.play, 'aria-label': words.play });
  }

  /** Walk from step to step; from the beginning where it stands at the end. */
  function play() {
    const [lead] = ways;
    if (playing || !lead) { stop(); return; }
    const go = (number) => { step = number; setProps('way-step', { value: number }); sketch(); };
    go(current() >= lead.steps.length ? 1 : current());
    setProps('way-play', { children: '❚❚', title: words.pause, 'aria-label': words.pause });
    playing = setInterval(() => {
      if (!ways[0] || current() >= ways[0].steps.length) stop();
      else go(current() + 1);
    }, FRAME);
  }

  const openWay = () => explorer.go({ way: 'on', noise: null, id: null });
  const openNoise = () => explorer.go({ noise: 'scaled_linear' });

  function closeWay() {
    stop();
    explorer.go(ways[0]?.noise ? { noise: null } : { way: null });
    if (document.getElementById('shell').dataset.sheet === 'way-panel') explorer.show('here');
  }

  /** Noise it by another schedule, or in another medium. */
  function rescheduled(schedule, medium) {
    const { noise } = explorer.parts();
    const next = medium === config.medium ? schedule : `${schedule}.${medium}`;
    if (noise && next !== noise) explorer.go({ noise: next });
  }

  /** Put a way beside the first, or take it away again; without a name, show what there is to compare. */
  function compare(job) {
    if (!job) {
      setProps('way-choices', { hidden: !document.getElementById('way-choices').hidden });
      return;
    }
    const names = ways.slice(1).map(({ name }) => name);
    besides(names.includes(job) ? names.filter((name) => name !== job) : [...names, job]);
  }

  function besides(names) {
    const others = names.filter((name) => name !== ways[0]?.name).slice(-MOST);
    explorer.go({ way: others.join(',') || 'on' });
  }

  /** Go on from the step in view with new noise, once for each new seed; the ways fan out beside the first. */
  async function branch() {
    const [lead] = ways;
    if (!lead?.recipe) return;
    const number = current();
    const tell = (text) => setProps('way-means', { children: text });
    if (number >= lead.steps.length) { tell(words['branch.last']); return; }
    const { prompt, negative, seed, steps, guidance, branches } = lead.recipe;
    const before = (branches ?? []).filter((turn) => turn.step < number);
    const count = Number(document.getElementById('way-seeds').value) || 1;
    const tickets = [];
    for (const drawn of crypto.getRandomValues(new Uint32Array(Math.min(count, MOST)))) {
      const recipe = { prompt, negative, seed, steps, guidance, branches: [...before, { step: number, seed: drawn }] };
      const answer = await fetch('/api/jobs', {
        method: 'POST', body: JSON.stringify({ recipe }), headers: { 'Content-Type': 'application/json' },
      }).catch(() => null);
      const told = answer ? await answer.json() : { error: words.unreachable };
      if (!answer?.ok) { tell(say('branch.refused', told)); break; }
      tickets.push(told);
    }
    if (!tickets.length) return;
    explorer.keep(tickets);
    if (ways[0] === lead) besides(tickets.map(({ job }) => job)); // the visitor may have gone on
  }

  function remember(jobs) {
    history = jobs ?? [];
  }

  Object.assign(explorer, {
    followWay, charted, play, openWay, openNoise, closeWay, rescheduled, compare, branch, wayHistory: remember,
  });
})();
