// Where the scenes with faults are played in a browser, in a page or a worker: what is stored there, and how it becomes empty.
import { forgetMemory, inMemory, layout, MODELS, play as playIn } from './fault-play.mjs';
import { sha256 } from './bytes.mjs';
import { noted, quiet } from './faults.mjs';
import { CATALOG, clearShards, named, restore, snapshot, unnamed } from './fault-shards.mjs';
import * as storage from './storage.mjs';

const DATE = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;

/** The database was made, but not one record. */
const isEmpty = (whole) => Object.values(JSON.parse(whole)[0].databases[0].stores).every(({ records }) => records.length === 0);

/** Waits until whoever is opening the database is through; there is none afterwards where there was none. */
async function opened() {
  const request = indexedDB.open('tensorflowjs');
  request.onupgradeneeded = () => request.transaction.abort();
  await storage.done(request).then((db) => db.close(), () => {});
}

async function whole(lib) {
  await opened();
  const { databases, ...dump } = await storage.dump();
  return JSON.stringify([{ ...dump, databases: databases.filter(({ name }) => name !== CATALOG) }, await inMemory(lib)]);
}

const here = (lib) => ({
  lib,
  url: (text) => text,
  async reset(models) {
    globalThis.localStorage?.clear();
    for (const { name } of await indexedDB.databases()) await storage.deleteDatabase(name); // rejects when somebody holds it open
    await forgetMemory(lib);
    for (const [url, model] of Object.entries(models)) await lib.save(MODELS[model], url);
  },
  whole: () => whole(lib),
  same: (whole) => whole.replaceAll(DATE, 'some date'), // two saves of the same differ in their dates
  residue: ({ after, scene }) => (scene.empty && isEmpty(after) ? 'old intact, an empty database' : undefined),
});

/** All attempts of a scene, with the small build: the entry would go over to the larger one when it cannot tell whether there are shards. */
export const play = async (lib, scene) => playIn(here({ ...lib, ...await import('/pkg/tfpersist.js') }), scene);

const NAMES = /[0-9a-f]{11}-[0-9a-f]{16}-\d+|hash:[0-9a-f]+/g; // of shards, and what is hashed with the origin's secret

const isInPage = (url) => /^(memory|localstorage):/.test(url);
const same = (whole) => whole.replaceAll(DATE, 'some date').replaceAll(NAMES, '*');

/** With models in shards, in the database of TF.js's name (`shards://m` in a scene) or in files. */
const withShards = (lib) => {
  const url = (text) => text.replace(/^shards:/, 'indexeddb:');
  let kept; // all that is stored at the beginning of the scene
  return {
    ...here(lib),
    url,
    async reset(models, scene) {
      if (kept && kept.scene === scene) return restore(kept.all).then(() => forgetMemory(lib)).then(() => this.inMemory(models));
      await clearShards();
      await here(lib).reset({});
      if (scene && !scene.empty) await lib.listModels('indexeddb://'); // makes TF.js's database, as any call does
      for (const [at, model] of Object.entries(models)) await lib.save(MODELS[model], url(at), layout(at));
      await quiet();
      kept = scene && !scene.empty && { scene, all: await snapshot() };
      if (kept && !Object.keys(models).some(isInPage)) kept.whole = await restore(kept.all).then(() => this.whole());
    },
    /** What is restored is the same each time; what is saved again has another date. */
    before() { return kept?.whole ?? this.whole(); },
    async inMemory(models) {
      globalThis.localStorage?.clear();
      const inPage = Object.entries(models).filter(([at]) => isInPage(at));
      for (const [at, model] of inPage) await lib.save(MODELS[model], at);
    },
    whole: async () => JSON.stringify([await whole(lib), await named()]),
    same,
    residue({ before, after, complete, scene, call }) {
      const [then, now, done] = [before, after, complete].map((whole) => JSON.parse(same(whole)));
      if (scene.empty && now[1].length === 0 && isEmptyBut(now[0], then[0])) return 'old intact, an empty database';
      // What replaced it is the newer one, and the next save drops it.
      if (JSON.stringify(now[1]) === JSON.stringify(done[1]) && now[0] === then[0]) return 'new complete, the older record stays';
      return undefined;
    },
    /** When no call fails any more, the sweep finds all that is nobody's. */
    async remains(scene) {
      await quiet();
      await lib.sweep();
      const left = await unnamed();
      if (left.length > 0) return `FAULT: after the sweep there remains ${left}`;
      const last = scene.next ?? scene.args.at(-1);
      const others = Object.entries(scene.before).filter(([at, model]) => model === 'other' && at !== last);
      for (const [at] of others) await lib.load(url(at), { verify: true });
      return undefined;
    },
  };
};

/** All attempts of a scene with the sharded layout. */
export const playInShards = (lib, scene) => playIn(withShards(lib), scene);

/** What was handed to the browser; of the zip only how long it is, because it has the time in it. */
async function handedOver() {
  const bytes = async ({ url }) => (await fetch(url)).arrayBuffer();
  return Promise.all(noted.clicked.map(async (link) => {
    const file = await bytes(link);
    return [link.name, link.name.endsWith('.zip') ? file.byteLength : await sha256(file)];
  }));
}

/** Object URLs that nobody clicked still work: they hold their bytes as long as the page lives. */
async function unclicked() {
  const urls = noted.urls.filter((url) => noted.clicked.every((link) => link.url !== url));
  return (await Promise.all(urls.map((url) => fetch(url).then(() => 1, () => 0)))).filter(Boolean).length;
}

const states = new Map();

/** With a server at `url`, whose files the page gets and sets through `files` of the test. */
const withServer = (lib, url) => ({
  ...here(lib),
  url: (text) => text.replace('server://', `${url}/plain/`),
  async reset(models, scene) {
    await here(lib).reset({});
    Object.assign(noted, { urls: [], clicked: [] });
    await globalThis.files({});
    if (!scene) return;
    const { saving, kept, served, args: [at] } = scene;
    const save = (model, to) => this.serve(scene, `${model} ${to}`, () => lib.save(MODELS[model], this.url(to), saving));
    for (const [to, model] of Object.entries(models)) await save(model, to);
    if (kept) await save(kept, at);
    if (kept) await lib.load(this.url(at), scene.options);
    if (served) await save(served, at);
  },
  /** What a save makes of the server's files; done the first time only. */
  async serve({ name }, what, save) {
    const key = `${name} ${what} ${JSON.stringify(await globalThis.files())}`;
    if (states.has(key)) return globalThis.files(states.get(key));
    await save();
    return states.set(key, await globalThis.files());
  },
  whole: async () => JSON.stringify({ stored: await whole(lib), server: await globalThis.files(), handedOver: await handedOver(), unclicked: await unclicked() }),
  same: (whole) => whole.replaceAll(DATE, 'some date').replaceAll(/-+WebKitFormBoundary\w+/g, '--boundary'),
  residue({ before, after }) {
    const [then, now] = [before, after].map((whole) => JSON.parse(whole));
    const added = Object.keys(now.server).filter((name) => !(name in then.server));
    if (now.unclicked > 0) return 'torn';
    if (added.some((name) => !/^group1-shard.*\.[0-9a-f]{16}\.bin$/.test(name)) || Object.keys(then.server).some((name) => now.server[name] !== then.server[name])) return 'torn';
    if (isEmptyBut(now.stored, then.stored)) now.stored = then.stored;
    if (now.stored !== then.stored) return 'torn';
    if (now.handedOver.length > 0) return `old intact, ${now.handedOver.map(([name]) => name)} handed over`;
    return added.length > 0 ? 'old intact, shards stay' : 'old intact, an empty database';
  },
});

/** A database was made, but not one record. */
const isEmptyBut = (now, then) => JSON.parse(then)[0].databases.length === 0 && JSON.parse(now)[0].databases.length === 1 && isEmpty(now);

/** All attempts of a scene with a server or with downloads. */
export const playInTransit = (lib, scene, url) => playIn(withServer(lib, url), scene);
