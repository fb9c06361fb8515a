// Where the scenes with faults are played in a browser, in a page or a worker: what is stored there, and how it becomes empty.
import { forgetMemory, inMemory, MODELS, play as playIn } from './fault-play.mjs';
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
  return JSON.stringify([await storage.dump(), await inMemory(lib)]);
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

/** All attempts of a scene. */
export const play = (lib, scene) => playIn(here(lib), scene);
