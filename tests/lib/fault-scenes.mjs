// What is tried with faults: each verb of each store, and between stores. Data only; li./fault-browser.mjs plays it.

const OTHER = 'other'; // a model that nobody touches

/** `shards://` are the models of `indexeddb://` that are saved with `{ layout: 'sharded' }`. */
const shown = (name) => name.replace(/shards:\/\/(\w)/g, 'indexeddb://$1 in shards');

/** `before` and `after`: from URL to the model that is there; `other` is in each store that takes part. */
function scene(name, verb, args, before, after, more = {}) {
  name = shown(name);
  const schemes = [...new Set([...Object.keys(before), ...args.filter((arg) => arg.includes('://'))].map((url) => url.split('://')[0]))];
  const bystanders = Object.fromEntries(more.empty ? [] : schemes.map((scheme) => [`${scheme}://${scheme === 'shards' ? 'another' : OTHER}`, OTHER]));
  return { name, verb, args, before: { ...bystanders, ...before }, after: { ...bystanders, ...after }, ...more };
}

function within(scheme) {
  const [m, n] = ['m', 'n'].map((path) => `${scheme}://${path}`);
  return [
    scene(`${m}: save, nothing is there`, 'save', ['new', m], {}, { [m]: 'new' }),
    scene(`${m}: save, over a model`, 'save', ['new', m], { [m]: 'old' }, { [m]: 'new' }),
    scene(`${m} → n: copy, over a model`, 'copyModel', [m, n], { [m]: 'new', [n]: 'old' }, { [m]: 'new', [n]: 'new' }),
    scene(`${m} → n: move, over a model`, 'moveModel', [m, n], { [m]: 'new', [n]: 'old' }, { [n]: 'new' }),
    scene(`${m}: remove`, 'removeModel', [m], { [m]: 'old' }, {}),
  ];
}

function between(from, to) {
  const [m, n] = [`${from}://m`, `${to}://n`];
  return [
    scene(`${m} → ${n}: copy, over a model`, 'copyModel', [m, n], { [m]: 'new', [n]: 'old' }, { [m]: 'new', [n]: 'new' }),
    scene(`${m} → ${n}: move, over a model`, 'moveModel', [m, n], { [m]: 'new', [n]: 'old' }, { [n]: 'new' }, { between: true }),
  ];
}

const local = 'localstorage://m';
/** In a page. */
export const IN_PAGE = [
  ...within('localstorage'),
  scene(`${local} → n: move, no room for both`, 'moveModel', [local, 'localstorage://n'], { [local]: 'new' }, { 'localstorage://n': 'new' },
    { base: 'setItem n/weight_data' }),
  ...within('indexeddb'),
  scene('indexeddb://m: save, there is no database yet', 'save', ['new', 'indexeddb://m'], {}, { 'indexeddb://m': 'new' }, { empty: true }),
  ...within('memory'),
  ...['localstorage', 'indexeddb', 'memory'].flatMap((from) => (
    ['localstorage', 'indexeddb', 'memory'].filter((to) => to !== from).flatMap((to) => between(from, to)))),
];
/** In a worker, which has no Local Storage. */
export const IN_WORKER = IN_PAGE.filter(({ name }) => !name.includes('localstorage'));

/** What is done with models in shards, in either pool. */
function inShards(scheme) {
  const [m, n] = ['m', 'n'].map((path) => `${scheme}://${path}`);
  const reads = { [m]: 'new' };
  return [
    ...within(scheme).map((scene) => ({ ...scene, sweeps: scene.verb === 'removeModel' })),
    scene(`${m}: save in three shards, over a model`, 'save', ['large', m], { [m]: 'old' }, { [m]: 'large' }),
    scene(`${m}: load`, 'load', [m], reads, reads),
    scene(`${m}: list`, 'listModels', [], reads, reads, { next: m }),
    scene(`${m}: verify`, 'verify', [m], reads, reads),
    scene(`${m}: sweep`, 'sweep', [], reads, reads, { next: m, sweeps: 'itself' }),
  ];
}
const [inDatabase, inFiles] = ['shards://m', 'opfs://m'];
/** In a page, with the larger build. */
export const IN_SHARDS = [
  ...inShards('shards'),
  scene(`${inDatabase}: save, there is no catalog yet`, 'save', ['new', inDatabase], {}, { [inDatabase]: 'new' }, { empty: true }),
  scene(`${inDatabase}: save, over TF.js’s record`, 'save', ['new', inDatabase], { 'indexeddb://m': 'old', 'shards://other': OTHER }, { [inDatabase]: 'new' }),
  ...inShards('opfs'),
  // The calls are those of a load, a save and a removal, which fail above in every way.
  ...[['shards', 'opfs'], ['opfs', 'shards'], ['opfs', 'indexeddb']].map((pair) => ({ ...between(...pair)[1], kinds: ['exception'] })),
].map((scene) => ({ ...scene, isSharded: true, options: ['sweep', 'listModels', 'load', 'verify'].includes(scene.verb) ? {} : { durability: 'relaxed' } }));

/** Those that begin in files, so that there is a test for either half. */
export const isInFiles = ({ name }) => name.startsWith('opfs');
/** A few of them for Firefox. */
export const FEW_IN_SHARDS = IN_SHARDS.filter(({ name }) => /m( in shards)?: (save, over a model|remove)$/.test(name));
/** A worker writes and reads files with its own handles. */
export const IN_FILES = IN_SHARDS.filter(({ name }) => /^opfs:..m: (save|load)/.test(name))
  .map((scene) => ({ ...scene, name: scene.name.replace('opfs://m', 'opfs://m in a worker') }));

const m = 'file://m';
/** In Node. */
export const IN_NODE = [
  ...within('file'),
  scene(`${m}: save in three shards, over a model`, 'save', ['new', m], { [m]: 'old' }, { [m]: 'new' }, { options: { shardBytes: 160 } }),
  scene(`${m}: save with overwrite: false, nothing is there`, 'save', ['new', m], {}, { [m]: 'new' }, { options: { overwrite: false } }),
  ...between('file', 'memory'),
  ...between('memory', 'file'),
].map((scene) => (scene.verb === 'moveModel' ? { ...scene, between: true } : scene)); // a move from folder to folder is one, too

/** In a page, with a server (`server://` is its folder), and downloads. `isOpaque`: what is stored there cannot be loaded. */
const files = { files: true, shardBytes: 200, concurrency: 1, retries: 0 };
const multipart = { requestInit: { method: 'PUT' }, retries: 0 };
const served = 'server://model.json';
const cached = { verb: 'load', args: [served], saving: files, options: { cache: 'indexeddb://cached', concurrency: 1, retries: 0 }, served: 'new' };
const through = (name, args, more) => ({ name, verb: 'save', args, before: {}, after: {}, saving: more.options, ...more });
export const IN_TRANSIT = [
  through('HTTP: save as files, over a model', ['new', served], { before: { [served]: 'old' }, after: { [served]: 'new' }, options: files }),
  through('HTTP: save as files, over a model, each tried again', ['new', served],
    { before: { [served]: 'old' }, after: { [served]: 'new' }, options: { ...files, retries: 1 } }),
  through('HTTP: save in one request', ['new', 'server://upload'], { before: { 'server://upload': 'old' }, options: multipart, isOpaque: true }),
  through('HTTP: load with a cache, nothing is kept yet', [served], { ...cached }),
  through('HTTP: load with a cache, the server has a newer one', [served], { ...cached, kept: 'old' }),
  through('HTTP: load with a cache, the server has the same', [served], { ...cached, kept: 'new' }),
  through('downloads://m: save', ['new', 'downloads://m'], { options: {}, isOpaque: true }),
  through('downloads://m: save as zip', ['new', 'downloads://m'], { options: { zip: true }, isOpaque: true }),
];
