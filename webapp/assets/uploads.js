/**
 * A picture of the visitor's: dropped, pasted or chosen, handed in, and shown where it lands.
 *
 * The server keeps it in memory under a name that stands in the address (`upload`). The store `uploaded` is
 * {upload, image, landing: {SPACE: [x, y, z]}} once the landing is known, and null while there is none.
 */
'use strict';

(() => {
  const explorer = ((window.dash_clientside ??= {}).explorer ??= {});
  const setProps = (id, props) => window.dash_clientside.set_props(id, props);
  const ACCEPTED = 'image/jpeg,image/png,image/webp,image/gif';

  let settings = null;
  let words = {};
  let asking = null;
  let flown = null;

  /** Say in the box how it stands; `phase` is looking or refused. */
  function say(phase, text, detail = '') {
    const shell = document.getElementById('shell');
    shell.dataset.box = 'bring';
    document.getElementById('bring').dataset.phase = phase;
    document.getElementById('bring-words').textContent = text;
    document.getElementById('bring-detail').textContent = detail;
  }

  function close() {
    asking?.abort();
    asking = null;
    const shell = document.getElementById('shell');
    if (shell.dataset.box === 'bring') shell.dataset.box = 'none';
  }

  function refuse({ reason, error }) {
    say('refused', words[`reject.${reason}`] ?? words.failed ?? '', words[`reject.${reason}`] ? '' : error ?? '');
  }

  /** Hand a file in and go to where it lands. */
  async function take(file) {
    if (!settings || !file) return;
    asking?.abort();
    if (file.size > settings.most) {
      refuse({ reason: 'too-large' });
      return;
    }
    const mine = asking = new AbortController();
    say('looking', words.looking);
    try {
      const answer = await fetch(settings.address, {
        method: 'POST', body: file, signal: mine.signal, headers: { 'Content-Type': 'application/octet-stream' },
      });
      const told = await answer.json();
      if (mine !== asking) return;
      if (!answer.ok) {
        refuse(answer.status === 413 ? { reason: 'too-large' } : told);
        return;
      }
      close();
      explorer.go({ upload: told.upload, job: null, id: null, q: null, like: null, split: null });
      explorer.show('here');
    } catch (error) {
      if (mine === asking && error.name !== 'AbortError') say('refused', words.lost, error.message);
    }
  }

  /** Ask the visitor for a file. */
  function choosePicture() {
    const input = document.createElement('input');
    input.type = 'file';
    input.accept = ACCEPTED;
    input.addEventListener('change', () => void take(input.files[0]));
    input.click();
  }

  /** The picture that the address names, and where it landed; null where the server has it no more. */
  async function uploaded(name, config, table) {
    settings = config.uploads;
    words = table;
    if (!name || !settings) return null;
    const answer = await fetch(`${settings.address}/${encodeURIComponent(name)}`).catch(() => null);
    if (!answer?.ok) return null;
    const { upload, image, landing } = await answer.json();
    const places = Object.entries(landing.spaces).map(([space, { point }]) => [space, point]);
    return { upload, image, points: Object.fromEntries(places) };
  }

  /** What the map draws of it: its place and picture; the camera goes there once. */
  function brought({ upload, image, points }) {
    const flies = flown !== upload && !explorer.parts().id;
    flown = upload;
    const flight = flies ? { target: 'landing', nonce: upload } : window.dash_clientside.no_update;
    return [null, { points, imageUrl: image }, flight];
  }

  const holdsFile = (event) => Boolean(settings) && [...(event.dataTransfer?.types ?? [])].includes('Files');
  const veil = (shown) => document.getElementById('shell')?.classList.toggle('dropping', shown);

  window.addEventListener('dragover', (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    veil(true);
  });
  window.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) veil(false);
  });
  window.addEventListener('drop', (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    veil(false);
    void take(event.dataTransfer.files[0]);
  });
  window.addEventListener('paste', (event) => {
    const file = event.clipboardData?.files[0];
    if (file) void take(file);
  });

  Object.assign(explorer, { choosePicture, leavePicture: close, uploaded, brought });
})();
