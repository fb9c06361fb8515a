// The page's side of the reload test: works, is reloaded in the middle, and tells the next page what it saw.
import { plain, print } from './artifacts.mjs';
import { attempt, library } from './libraries.mjs';
import { done } from './storage.mjs';

const NOTE = 'reload-test';

/** Calls `first` at the first call of IndexedDB that follows. */
function onFirstHostCall(first) {
  let called = false;
  const wrap = (prototype, name) => {
    const original = prototype[name];
    prototype[name] = function wrapped(...args) {
      if (!called) first();
      called = true;
      return original.apply(this, args);
    };
  };
  wrap(IDBFactory.prototype, 'open');
  for (const name of ['get', 'put', 'add', 'delete']) wrap(IDBObjectStore.prototype, name);
}

/**
 * Starts `verb` and reloads the page `delay` ms after the first host call; without a delay when the promise settles.
 * What happened when is left in sessionStorage as the page goes, for `readNote` in the next one.
 */
export async function workAndReload({ lib, verb, model, paths, delay }) {
  const { save, moveModel, listModels } = await library(lib);
  const artifacts = model && plain(...model);
  await listModels(); // the library is loaded: what is timed is the work alone
  const note = { first: null, asked: null, settled: null, outcome: null, gone: null };
  const leave = () => {
    note.asked = performance.now();
    location.reload();
  };
  onFirstHostCall(() => {
    note.first = performance.now();
    if (delay !== undefined) setTimeout(leave, delay);
  });
  addEventListener('pagehide', () => {
    note.gone = performance.now();
    sessionStorage.setItem(NOTE, JSON.stringify(note));
  });
  // Started a turn later, so that the caller has its answer before the page goes.
  setTimeout(async () => {
    const urls = paths.map((path) => `indexeddb://${path}`);
    const { error } = await attempt(() => (verb === 'move' ? moveModel(...urls) : save(artifacts, ...urls)));
    note.settled = performance.now();
    note.outcome = error ? `rejected: ${error.name}: ${error.message}` : 'resolved';
    if (delay === undefined) leave();
  });
}

export const readNote = () => JSON.parse(sessionStorage.getItem(NOTE));

/** Object store of the database -> the keys in it. */
export async function storedKeys() {
  const db = await done(indexedDB.open('tensorflowjs'));
  const names = [...db.objectStoreNames];
  const keys = await Promise.all(names.map((n) => done(db.transaction(n).objectStore(n).getAllKeys())));
  db.close();
  return Object.fromEntries(names.map((n, i) => [n, keys[i]]));
}

/** The name of a size that the info has wrong of these artifacts, if one is. */
export function infoMismatch(info, { modelTopology, weightSpecs, weightData }) {
  const length = (value) => new TextEncoder().encode(JSON.stringify(value)).length;
  const bytes = [weightData].flat().reduce((n, b) => n + b.byteLength, 0);
  const real = { modelTopologyBytes: length(modelTopology), weightSpecsBytes: length(weightSpecs), weightDataBytes: bytes };
  return Object.keys(real).find((key) => real[key] !== info[key]);
}

/** Path -> hash of the whole model found there, or `torn: ...`: in the listing and in both stores, readable, info true. */
export async function shown(lib) {
  const { listModels, load } = await library(lib);
  const listing = await listModels();
  const keys = await storedKeys();
  const listed = Object.keys(listing).map((url) => url.split('://')[1]);
  const out = {};
  for (const path of new Set([...listed, ...Object.values(keys).flat()])) {
    const absent = [['the listing', listed], ...Object.entries(keys)].filter(([, paths]) => !paths.includes(path));
    if (absent.length > 0) {
      out[path] = `torn: not in ${absent.map(([name]) => name).join(', ')}`;
      continue;
    }
    const { value, error } = await attempt(() => load(`indexeddb://${path}`));
    const info = listing[`indexeddb://${path}`];
    const wrong = value && infoMismatch(info, value);
    if (error || info.damage) out[path] = `torn: ${(error ?? info.damage).message}`;
    else if (wrong) out[path] = `torn: the listing's ${wrong} is another model's`;
    else out[path] = await print(value);
  }
  return out;
}

/** Exactly these models in the store: `models` is path -> arguments of `plain`. */
export async function prepare(lib, models) {
  const { save } = await library(lib);
  for (const [path, model] of Object.entries(models)) await save(plain(...model), `indexeddb://${path}`);
}
