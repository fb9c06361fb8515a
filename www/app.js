// The model manager: a small model is trained with TensorFlow.js and kept in this browser with tfpersist.
import {
  copyModel, listModels, loadModel, moveModel, persistStorage, removeModel, save, storageEstimate, verify, watchModels,
} from 'tfpersist';
import { compare, entryOf, remember, remembered } from './predictions.js';
import { inputs, predict, train, truth } from './sine.js';
import { dates, humane, split, sum } from './words.js';

/** Where models can be kept: one line a store. */
const stores = [
  { scheme: 'indexeddb', label: 'IndexedDB' },
  { scheme: 'localstorage', label: 'Local Storage' },
];
/** Where a model can only be sent. */
const downloads = { scheme: 'downloads', label: 'Downloads' };

const { tf } = globalThis;
const $ = (selector, root = document) => root.querySelector(selector);
/** The element made, with these words. */
const element = (name, textContent) => Object.assign(document.createElement(name), { textContent });
const clone = (template) => $(template).content.firstElementChild.cloneNode(true);

/** The model that can be saved, and what it predicts for `inputs`. */
let current = null;

// The status line

function say(...parts) {
  $('#status').classList.remove('error');
  $('#status').replaceChildren(...parts);
}

function complain(error) {
  say(element('strong', error?.code ?? error?.name ?? 'Error'), ' ', error?.message ?? String(error));
  $('#status').classList.add('error');
}

/** Does one thing at a time, with its progress and its end in the status line. `work` resolves with the last words. */
async function run(doing, work) {
  if (document.body.ariaBusy) return;
  document.body.ariaBusy = 'true';
  const bar = $('progress');
  bar.value = 0;
  bar.classList.remove('idle');
  say(`${doing}…`);
  try {
    say(await work((fraction) => { bar.value = fraction; }));
  } catch (error) {
    bar.value = 0;
    complain(error);
  } finally {
    document.body.ariaBusy = null;
    bar.classList.add('idle');
  }
}

// The model in this page

const place = (x, y) => `${(x + 1) * 150 + 10},${60 - y * 48}`;

/** Makes it the model in this page; the one before is freed. */
function show(model, floats, origin, verdict) {
  current?.model.dispose();
  current = { model, floats };
  $('#chart .guess').setAttribute('points', inputs.map((x, i) => place(x, floats[i])).join(' '));
  $('#origin').textContent = origin;
  $('#verdict').hidden = !verdict;
  $('#verdict').textContent = verdict?.text ?? '';
  $('#verdict').className = verdict?.same === undefined ? '' : verdict.same ? 'good' : 'bad';
  $('#numbers').hidden = false;
  $('#numbers ol').replaceChildren(...Array.from(floats, (f) => element('li', String(f))));
  $('#save button').disabled = false;
}

function onTrain(event) {
  event.preventDefault();
  const units = Number(event.target.elements.units.value);
  return run('Training', async (report) => {
    const { model, loss, epochs } = await train(units, (fraction, now) => {
      report(fraction);
      $('#origin').textContent = `Learning a sine: loss ${now.toPrecision(3)}`;
    });
    show(model, predict(model), `Learned a sine in ${epochs} epochs: loss ${loss.toPrecision(3)}`);
    return 'Trained. It can be saved now.';
  });
}

// The list

function showUrl(where, url) {
  const [scheme, path] = split(url);
  where.replaceChildren(`${scheme}://`, element('b', path));
}

function fillStores(select, choices, chosen = choices[0].scheme) {
  select.replaceChildren(...choices.map(({ scheme, label }) => new Option(label, scheme, false, scheme === chosen)));
}

function rowOf(url, info) {
  const row = clone('#row');
  row.dataset.url = url;
  showUrl($('.url', row), url);
  $('.size', row).textContent = humane(sum(info));
  $('small', row).textContent = `weights ${humane(info.weightDataBytes ?? 0)}`;
  const known = Number.isFinite(info.dateSaved?.getTime());
  $('time', row).textContent = known ? dates.format(info.dateSaved) : 'unknown';
  if (known) $('time', row).dateTime = info.dateSaved.toISOString();
  for (const button of row.querySelectorAll('button')) {
    button.ariaLabel = `${button.textContent} ${url}`;
    button.disabled = Boolean(info.damage) && !['check', 'remove'].includes(button.dataset.action);
  }
  if (info.damage) {
    $('.damage', row).hidden = false;
    $('.damage', row).textContent = `Damaged: ${info.damage.code} ${info.damage.message}`;
    $('.size', row).parentElement.replaceChildren('unknown');
  }
  return row;
}

let turns = 0;

/** Shows what is stored, and puts the focus on the row of `url` when there is one. */
async function refresh(url) {
  const turn = ++turns;
  const models = Object.entries(await listModels()).sort(([a], [b]) => (a < b ? -1 : 1));
  if (turn !== turns) return; // a newer one is under way
  $('#list tbody').replaceChildren(...models.map(([key, info]) => rowOf(key, info)));
  $('#list').hidden = models.length === 0;
  $('#empty').hidden = models.length > 0;
  const { usage, quota, persisted } = await storageEstimate();
  $('#room').hidden = usage === undefined;
  const fate = persisted ? 'The browser keeps it.' : 'The browser may drop it when the disk gets full.';
  $('#used').textContent = `${humane(usage)} used of ${humane(quota)}. ${fate}`;
  $('#keep').hidden = persisted;
  const row = [...$('#list tbody').rows].find((r) => r.dataset.url === url);
  if (url) (row ? $('button', row) : $('#list-title')).focus();
}

// The verbs

const targetOf = (form) => `${form.elements.store.value}://${form.elements.name.value}`;

function onSave(event) {
  event.preventDefault();
  const url = targetOf(event.target);
  const overwrite = event.target.elements.overwrite.checked;
  return run(`Saving ${url}`, async (onProgress) => {
    const { modelArtifactsInfo } = await save(current.model, url, { overwrite, onProgress });
    if (!url.startsWith(downloads.scheme)) remember(url, entryOf(current.floats));
    await refresh();
    return `Saved ${url}: ${humane(sum(modelArtifactsInfo))}.`;
  });
}

/** What comes from elsewhere: files that were chosen or dropped, or the URL of a model.json. */
function onOpen(source, words) {
  return run(`Opening ${words}`, async (onProgress) => {
    const model = await loadModel(tf, source, { onProgress });
    show(model, predict(model), `Opened ${words}`);
    return `Opened ${words}. It can be saved now.`;
  });
}

function onCheck(url) {
  return run(`Checking ${url}`, async () => {
    const info = await verify(url);
    [...$('#list tbody').rows].find((row) => row.dataset.url === url)?.replaceWith(rowOf(url, info));
    if (info.damage) throw info.damage;
    return `Checked ${url}: all ${humane(info.weightDataBytes)} of weights are there.`;
  });
}

function onKeep() {
  return run('Asking the browser', async () => {
    const kept = await persistStorage();
    await refresh();
    return kept ? 'The browser keeps what is stored here.' : 'The browser does not promise to keep it.';
  });
}

function onDownload(url) {
  return run(`Downloading ${url}`, async (onProgress) => {
    await copyModel(url, `downloads://${split(url)[1]}`, { zip: true, onProgress });
    return `Downloaded ${url} as a zip.`;
  });
}

function onLoad(url) {
  return run(`Loading ${url}`, async (onProgress) => {
    const model = await loadModel(tf, url, { onProgress });
    const floats = predict(model);
    show(model, floats, `Loaded from ${url}`, compare(url, floats));
    return `Loaded ${url}. ${$('#verdict').textContent}`;
  });
}

function onTransfer(action, url, form) {
  const target = targetOf(form);
  const [verb, doing, done] = action === 'copy' ? [copyModel, 'Copying', 'Copied'] : [moveModel, 'Moving', 'Moved'];
  const overwrite = form.elements.overwrite.checked;
  return run(`${doing} ${url} to ${target}`, async (onProgress) => {
    await verb(url, target, { overwrite, onProgress });
    remember(target, remembered()[url]);
    if (action === 'move') remember(url);
    await refresh(target);
    return `${done} ${url} to ${target}.`;
  });
}

function onRemove(url) {
  return run(`Removing ${url}`, async () => {
    await removeModel(url);
    remember(url);
    await refresh(url);
    return `Removed ${url}.`;
  });
}

/** Opens the line under a row that asks where to, or whether. */
function ask(action, row, button) {
  $('#list .panel')?.remove();
  const { url } = row.dataset;
  const [scheme, path] = split(url);
  const panel = clone('#panel');
  const form = $('form', panel);
  const { store, name, go, cancel } = form.elements;
  form.ariaLabel = `${button.textContent} ${url}`;
  $('p', form).textContent = action === 'remove' ? `Remove ${url} for good?` : '';
  $('fieldset', form).hidden = $('fieldset', form).disabled = action === 'remove';
  fillStores(store, stores, stores.find((s) => s.scheme !== scheme)?.scheme);
  name.value = path;
  go.textContent = action === 'remove' ? 'Remove it' : `${button.textContent} it`;
  const close = () => { panel.remove(); refresh(url).catch(complain); };
  cancel.addEventListener('click', close);
  form.addEventListener('keydown', (event) => { if (event.key === 'Escape') close(); });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    return action === 'remove' ? onRemove(url) : onTransfer(action, url, form);
  });
  row.after(panel);
  (action === 'remove' ? go : store).focus();
}

function onAction(event) {
  const button = event.target.closest('button[data-action]');
  if (!button) return;
  const row = button.closest('tr');
  const atOnce = { load: onLoad, check: onCheck, download: onDownload }[button.dataset.action];
  if (atOnce) atOnce(row.dataset.url);
  else ask(button.dataset.action, row, button);
}

// Start

const saveForm = $('#save');
const preview = () => showUrl($('.url', saveForm), targetOf(saveForm));
fillStores(saveForm.elements.store, [...stores, downloads]);
preview();
const dots = inputs.filter((_, i) => i % 3 === 0).map((x) => `M${place(x, truth(x))}h0`);
$('#chart .truth').setAttribute('d', dots.join(''));
saveForm.addEventListener('input', preview);
saveForm.addEventListener('submit', onSave);
$('#train').addEventListener('submit', onTrain);
$('#list').addEventListener('click', onAction);
$('#open').addEventListener('submit', (event) => {
  event.preventDefault();
  const url = event.target.elements.url.value;
  onOpen(url, url);
});
$('#files').addEventListener('change', ({ target }) => onOpen(target.files, Array.from(target.files, (f) => f.name).join(', ')));
addEventListener('dragover', (event) => event.preventDefault());
addEventListener('drop', (event) => {
  event.preventDefault();
  onOpen(event.dataTransfer, 'what was dropped');
});
$('#reload').addEventListener('click', () => location.reload());
$('#keep').addEventListener('click', onKeep);
// An open panel is somebody's work: the list waits until it is closed.
watchModels(({ here }) => { if (!here && !$('#list .panel')) refresh().catch(complain); });
await run('Starting', async () => {
  await tf.setBackend('cpu'); // small models: quicker there than on a graphics card, and the same bits every time
  await refresh();
  return 'Ready.';
});
