/**
 * The address bar is the page's state: what a person would share stands in it, and everything else follows from it.
 *
 * `explorer.go(changes)` writes an address; `explorer.read` turns each address, whether written, followed or gone back
 * to, into one store a part, so that a panel hears only of what concerns it.
 */
'use strict';

(() => {
  const explorer = ((window.dash_clientside ??= {}).explorer ??= {});
  const FORMS = {
    space: /^[a-z]{1,16}$/,
    color: /^[a-z]{1,16}$/,
    id: /^\d{1,15}$/,
    q: /^[^]{1,500}$/,
    like: /^\d{1,15}$/,
    split: /^(heldout|all)$/,
    where: /^[^]{1,4000}$/,
    job: /^[\w-]{1,64}$/,
    upload: /^[\w-]{1,64}$/,
    way: /^(on|[\w-]{1,64}(,[\w-]{1,64}){0,4})$/,
    noise: /^(linear|scaled_linear|cosine)(\.pixels)?$/,
    audit: /^(list|[0-9a-f]{16})$/,
    axis: /^[^\n]{1,500}\n[^\n]{1,500}$/,
  };

  /** The parts of an address, null where one is missing or has no allowed form. */
  function parts(search) {
    const given = new URLSearchParams(search ?? window.location.search);
    return Object.fromEntries(Object.entries(FORMS).map(([name, form]) => {
      const value = given.get(name)?.trim() ?? '';
      return [name, form.test(value) ? value : null];
    }));
  }

  /** Change parts of the address; null takes one away. The page follows as if a link had been clicked. */
  function go(changes) {
    const next = { ...parts(), ...changes };
    const given = new URLSearchParams();
    for (const name of Object.keys(FORMS)) if (next[name] != null) given.set(name, String(next[name]));
    const search = given.size ? `?${given}` : '';
    if (search !== window.location.search) window.dash_clientside.set_props('address', { search });
  }

  /** An address as its stores; a store that would not change is left alone. */
  function read(search, config, ...current) {
    const given = parts(search);
    const space = config.spaces.includes(given.space) ? given.space : config.spaces[0];
    const query = given.q ? { text: given.q } : given.like ? { like: Number(given.like) } : null;
    const next = [
      space,
      config.colors.includes(given.color) ? given.color : config.colors[0],
      given.id === null ? null : Number(given.id),
      query && { ...query, split: given.split ?? 'train' },
      given.where,
      given.job,
      given.upload,
      given.way,
      given.noise,
      given.audit,
      given.axis,
    ];
    return next.map((value, i) =>
      JSON.stringify(value) === JSON.stringify(current[i] ?? null) ? window.dash_clientside.no_update : value);
  }

  Object.assign(explorer, { parts, go, read });
})();
