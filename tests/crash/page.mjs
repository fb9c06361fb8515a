// The page's side of a round: makes what must be there before, works until it is killed, and tells what is there afterwards.
import { plain, print } from '../lib/artifacts.mjs';
import { files, unnamed } from '../lib/fault-shards.mjs';
import { attempt, library } from '../lib/libraries.mjs';
import { infoMismatch, storedKeys } from '../lib/reload.mjs';
import { clearAll } from '../lib/shards.mjs';
import { done } from '../lib/storage.mjs';
import { layoutOf, make } from './models.mjs';

const PATIENCE = 60000; // of a busy machine, for one call
const SOON = 30; // ms: the caller has its answer before the work begins, and the page goes

/** The verbs, by the names that plan.mjs gives them. */
const WORK = {
  save: ({ save }, [url], [model], options) => save(model, url, options),
  overwrite: ({ save }, [url], [model], options) => save(model, url, options),
  copy: ({ copyModel }, urls, _, options) => copyModel(...urls, options),
  move: ({ moveModel }, urls, _, options) => moveModel(...urls, options),
  out: ({ moveModel }, urls, _, options) => moveModel(...urls, options),
  in: ({ moveModel }, urls, _, options) => moveModel(...urls, options),
  checkpoint: ({ save }, [url], [model], options) => save(model, url, options),
  'over a record': ({ save }, [url], [model], options) => save(model, url, options),
  'into a record': ({ save }, [url], [model], options) => save(model, url, options),
  remove: ({ removeModel }, [url]) => removeModel(url),
  /** Without a pause, so that any moment is in the middle of something. */
  async again({ save }, [url], models) {
    for (let i = 0; ; i++) await save(models[i % models.length], url);
  },
};

/**
 * Begins a verb. `report` is the URL that hears of its beginning and its end; `reload` reloads the page so many ms after the beginning,
 * or when the promise has resolved (`'after'`).
 */
export async function start({ lib, verb, urls, models, options, report, reload }) {
  const verbs = await library(lib);
  const made = models.map(make);
  const laidOut = { ...verb === 'remove' ? {} : layoutOf(urls.at(-1)), ...options };
  await verbs.listModels(); // all is loaded: what is timed is the work alone
  const tell = (what) => navigator.sendBeacon(`${report}&what=${encodeURIComponent(what)}`);
  const leave = () => {
    tell('leaves');
    location.reload();
  };
  addEventListener('pagehide', () => tell('left'));
  setTimeout(async () => {
    tell('began');
    if (typeof reload === 'number') setTimeout(leave, reload);
    const { error } = await attempt(() => WORK[verb](verbs, urls, made, laidOut), PATIENCE);
    tell(error ? `rejected: ${error.code ?? error.name}: ${error.message}` : 'resolved');
    if (reload === 'after') leave();
  }, SOON);
}

/**
 * Removes and saves; `saves` is URL -> arguments of `plain`. `all` begins with an empty origin. It is ours that prepares, also for the
 * control, which reads the same records: tf.io's save resolves before there is anything, so what is torn would not be this round's.
 */
export async function prepare({ all, removes, saves, oldLayout }) {
  if (all) await clearAll();
  const { save, removeModel } = await library('tfpersist');
  for (const url of removes) await removeModel(url);
  const layout = (url) => (oldLayout && url.endsWith('-a') ? { layout: oldLayout } : layoutOf(url));
  for (const [url, model] of Object.entries(saves)) await save(make(model), url, layout(url));
}

/** What remains, after one more save to either pool, of the shards that no model needs. */
export async function orphans() {
  const { removeModel, save, sweep } = await library('tfpersist');
  const urls = ['opfs://sweeper', 'indexeddb://shards-sweeper'];
  for (const url of urls) await save(plain('sweeper', 5, 4000), url, layoutOf(url));
  await sweep();
  const remains = async () => (await unnamed()).filter((what) => !what.startsWith('an older record')); // which goes with the next write
  const left = await remains();
  for (const url of urls) await removeModel(url);
  await sweep();
  return [...left, ...await remains(), ...Object.keys(await files()).filter((path) => !path.startsWith('tfpersist/'))];
}

/** Of the sharded layout: object store -> the URLs in it. */
async function catalogKeys() {
  if (!(await indexedDB.databases()).some(({ name }) => name === 'tfpersist')) return {};
  const db = await done(indexedDB.open('tfpersist'));
  const keys = {};
  for (const name of ['models', 'headers']) keys[name] = await done(db.transaction(name).objectStore(name).getAllKeys());
  db.close();
  return keys;
}

/** URL -> the keys or object stores in which there is something of it, seen without either library. */
async function parts() {
  const found = {};
  const add = (url, part) => (found[url] ??= []).push(part);
  for (const [name, keys] of Object.entries(await storedKeys())) keys.forEach((key) => add(`indexeddb://${key}`, name));
  for (const [name, keys] of Object.entries(await catalogKeys())) keys.forEach((key) => add(key, name));
  for (const key of Object.keys(localStorage)) {
    const [, path, part] = /^tensorflowjs_models\/(.+)\/([^/]+)$/.exec(key) ?? [];
    if (path) add(`localstorage://${path}`, part);
  }
  return found;
}

/** URL -> what is to be seen of it, in the listing, by loading it, and beneath; of all URLs that any of these knows. */
export async function look({ lib, urls }) {
  const { listModels, load } = await library(lib);
  const listing = await listModels(); // before `parts`: the library makes the database, with its object stores
  const beneath = await parts();
  const rows = {};
  for (const url of new Set([...urls, ...Object.keys(listing), ...Object.keys(beneath)])) {
    const options = lib === 'tfpersist' ? { verify: true } : undefined;
    const { value, error } = await attempt(() => load(url, options), PATIENCE);
    const row = { listed: url in listing, damage: listing[url]?.damage?.code, parts: (beneath[url] ?? []).sort() };
    if (error) row.error = `${error.code ?? error.name}: ${error.message}`;
    else row.hash = await print(value);
    if (value && row.listed && !row.damage) row.mismatch = infoMismatch(listing[url], value);
    rows[url] = row;
  }
  return rows;
}

if (location.search === '?tf.io') {
  await new Promise((resolve, reject) => {
    const script = Object.assign(document.createElement('script'), { src: '/tfjs/tf.min.js', onload: resolve, onerror: reject });
    document.head.append(script);
  });
}
globalThis.T = { start, prepare, look, orphans, born: performance.timeOrigin };
