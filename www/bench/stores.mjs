// Scenes of the stores: what is measured, by whom, and the targets: `tfjs` TF.js's time over ours at least, `raw` ours over the raw
// call's at most, `ours` milliseconds at most.
import * as ours from 'tfpersist';
import { asked, complete, database, infos, loadRecord, manyRecords, removeRecord, saveRecord, THEIRS } from './idb.mjs';
import { check, header, MB, modelOf, stamp } from './model.mjs';
import { loadFile, removeFile, saveFile } from './opfs.mjs';
import { theirCopy, theirList, theirLoad, theirMove, theirRemove, theirSave } from './tfjs.mjs';

/** A contender that saves, loads, is compared, and leaves nothing. */
const saver = (save, load, after) => ({
  before: ({ artifacts }) => stamp(artifacts),
  save: ({ artifacts }) => save(artifacts),
  load: () => load(),
  check: { load: ({ artifacts }, weightData) => check(weightData, artifacts) },
  after,
});

export const tfjsAt = (url) => saver((artifacts) => theirSave(artifacts, url), () => theirLoad(url), () => theirRemove(url));
export const oursAt = (url, options) => saver((artifacts) => ours.save(artifacts, url, options),
  async () => (await ours.load(url)).weightData, () => ours.removeModel(url));

// The raw calls

const PARTS = ['info', 'model_topology', 'weight_specs', 'weight_data', 'model_metadata'];
const rawLocalStorage = saver(
  async ({ weightData, modelTopology, weightSpecs, format }) => {
    const texts = [{ dateSaved: new Date() }, modelTopology, weightSpecs].map((value) => JSON.stringify(value));
    [...texts, new Uint8Array(weightData).toBase64(), JSON.stringify({ format })].forEach((text, i) => localStorage.setItem(`bench/${PARTS[i]}`, text));
  },
  async () => {
    const texts = Object.fromEntries(PARTS.map((part) => [part, localStorage.getItem(`bench/${part}`)]));
    return Uint8Array.fromBase64(texts.weight_data).buffer;
  },
  () => PARTS.forEach((part) => localStorage.removeItem(`bench/${part}`)),
);

const records = () => database('bench-raw-record', THEIRS);
const rawRecord = saver(async (artifacts) => saveRecord(await records(), 'm', artifacts), async () => loadRecord(await records(), 'm'),
  async () => removeRecord(await records(), 'm'));

const BLOB = 16 * MB;
const blobs = () => database('bench-raw-blobs', { blobs: {}, meta: {} });
export const saveBlobs = async ({ weightData, ...rest }, durability = 'relaxed') => {
  const tx = (await blobs()).transaction(['blobs', 'meta'], 'readwrite', { durability });
  const count = Math.ceil(weightData.byteLength / BLOB);
  for (let i = 0; i < count; i++) {
    const bytes = new Uint8Array(weightData, i * BLOB, Math.min(BLOB, weightData.byteLength - i * BLOB));
    tx.objectStore('blobs').put(new Blob([bytes]), i);
  }
  tx.objectStore('meta').put({ ...rest, count }, 'm');
  await complete(tx);
};
export const loadBlobs = async () => {
  const tx = (await blobs()).transaction(['blobs', 'meta']);
  const [list] = await Promise.all([asked(tx.objectStore('blobs').getAll()), asked(tx.objectStore('meta').get('m'))]);
  return Promise.all(list.map((blob) => blob.arrayBuffer()));
};
export const removeBlobs = async () => {
  const tx = (await blobs()).transaction(['blobs', 'meta'], 'readwrite');
  for (const store of ['blobs', 'meta']) tx.objectStore(store).clear();
  await complete(tx);
};
const rawBlobs = (durability) => saver((artifacts) => saveBlobs(artifacts, durability), loadBlobs, removeBlobs);
const rawFile = (flush) => saver(({ weightData }) => saveFile('m', weightData, { flush }), () => loadFile('m'), () => removeFile('m'));

/** One transaction on a catalog of rows as small as ours may be. */
async function rows(work) {
  const tx = (await database('bench-raw-rows', { rows: {} })).transaction('rows', 'readwrite');
  work(tx.objectStore('rows'));
  await complete(tx);
}

// The scenes

const steps = (save, load, raw) => ({ save: { tfjs: save, raw: raw[0] }, ...(load === undefined ? {} : { load: { tfjs: load, raw: raw[1] } }) });
const roundTrip = (work, mb, contenders, targets) => ({
  work: `${work} ${mb} MB`, small: mb <= 16, setup: async () => ({ artifacts: modelOf(mb * MB) }), contenders, steps: targets,
});

const localStorageScene = (mb, save) => roundTrip('localstorage', mb,
  { tfjs: tfjsAt('localstorage://m'), raw: rawLocalStorage, ours: oursAt('localstorage://m') }, steps(save, 15, [1.2, 1.2]));
const recordScene = (mb) => roundTrip("indexeddb, TF.js's layout,", mb,
  { tfjs: tfjsAt('indexeddb://m'), raw: rawRecord, ours: oursAt('indexeddb://ours') }, steps(1, 1, [1.1, 1.1]));
const shardedScene = (mb, durability, targets) => roundTrip(`indexeddb sharded ${durability}`, mb, {
  tfjs: tfjsAt('indexeddb://m'), raw: rawBlobs(durability), ours: oursAt('indexeddb://ours', { layout: 'sharded', durability }),
}, targets);
const opfsScene = (mb, save, load) => roundTrip('opfs relaxed', mb,
  { tfjs: tfjsAt('indexeddb://m'), raw: rawFile(false), ours: oursAt('opfs://m', { durability: 'relaxed' }) }, steps(save, load, [1.4, 1.15]));
const strictScene = (mb, save) => roundTrip('opfs strict', mb,
  { tfjs: tfjsAt('indexeddb://m'), raw: rawFile(true), ours: oursAt('opfs://m', { durability: 'strict' }) }, steps(save, undefined, []));

/** The head changes, and the model is saved again: TF.js writes all of it, the raw call the head. */
function checkpointScene(mb) {
  const from = mb * MB - Math.round((mb / 20) * MB / 4) * 4;
  const change = ({ artifacts }) => stamp(artifacts, from);
  return {
    work: `checkpoint, 5 % of ${mb} MB changed, opfs`,
    steps: { save: { tfjs: 15 } },
    async setup() {
      const artifacts = modelOf(mb * MB, { head: mb * MB - from });
      await ours.save(artifacts, 'opfs://checkpoint').catch(() => {}); // the contender will say why
      return { artifacts };
    },
    contenders: {
      tfjs: { before: change, save: ({ artifacts }) => theirSave(artifacts, 'indexeddb://m'), after: () => theirRemove('indexeddb://m') },
      raw: {
        before: change,
        async save({ artifacts }) {
          await saveFile('head', artifacts.weightData, { from });
          await rows((store) => store.put(header(mb * MB), 'm'));
        },
        after: () => removeFile('head'),
      },
      ours: {
        before: change,
        save: ({ artifacts }) => ours.save(artifacts, 'opfs://checkpoint'),
        check: { save: async ({ artifacts }) => check((await ours.load('opfs://checkpoint')).weightData, artifacts) },
      },
    },
    teardown: () => ours.removeModel('opfs://checkpoint').catch(() => {}),
  };
}

/** Copy, move and remove within a store. */
const managed = (copy, move, remove, urls) => ({
  copy: () => copy(urls[0], urls[1]),
  move: () => move(urls[1], urls[2]),
  remove: () => remove(urls[2]),
});

function managementScene(store, options, mb) {
  const [mine, other] = [`${store}://`, 'indexeddb://'].map((prefix, i) => ['a', 'b', 'c'].map((path) => `${prefix}${i ? 'theirs' : 'ours'}-${path}`));
  return {
    work: `within the sharded ${store}, ${mb} MB`,
    steps: { copy: { tfjs: 150 }, move: { tfjs: 150 }, remove: { tfjs: 5 } },
    note: 'raw: one metadata transaction',
    async setup() {
      const artifacts = modelOf(mb * MB);
      await theirSave(artifacts, other[0]);
      await ours.save(artifacts, mine[0], options).catch(() => {});
    },
    contenders: {
      tfjs: managed(theirCopy, theirMove, theirRemove, other),
      raw: managed((from, to) => rows((store_) => store_.put(header(mb * MB), to)), (from, to) => rows((store_) => {
        store_.put(header(mb * MB), to);
        store_.delete(from);
      }), (path) => rows((store_) => store_.delete(path)), ['a', 'b', 'c']),
      ours: managed(ours.copyModel, ours.moveModel, ours.removeModel, mine),
    },
    async teardown() {
      await theirRemove(other[0]);
      await ours.removeModel(mine[0]).catch(() => {});
    },
  };
}

function listScene(count) {
  const enough = (list) => { if (Object.keys(list).length < count) throw new Error(`${Object.keys(list).length} models are listed`); };
  const lister = (list) => ({ list, check: { list: (state, found) => enough(found) } });
  return {
    work: `listModels, ${count} models`,
    steps: { list: { tfjs: 1, raw: 1.1 } },
    small: true,
    note: 'raw: getAll of the infos',
    setup: () => manyRecords('listed', count, modelOf(4096)),
    contenders: { tfjs: lister(theirList), raw: lister(infos), ours: lister(() => ours.listModels()) },
    teardown: () => manyRecords('listed', count),
  };
}

/** By size: what others have written, gigabytes, keeps the disk and the engine busy for minutes. */
const small = () => [
  localStorageScene(1, 2.5), localStorageScene(3, 6), recordScene(1), listScene(1000),
  managementScene('indexeddb', { layout: 'sharded' }, 64), managementScene('opfs', {}, 64),
  recordScene(16), opfsScene(16, 4.5, 2.5),
];
const shardedAt = (mb) => shardedScene(mb, 'relaxed', steps(3, 2, [1.2, 1.2]));

export const stores = (quick) => (quick
  ? [...small(), shardedAt(64), opfsScene(64, 5, 3), strictScene(64, 4.5), checkpointScene(64)]
  : [
    ...small(), strictScene(16, 3.5),
    recordScene(64), shardedAt(64), opfsScene(64, 5, 3), strictScene(64, 4.5),
    shardedAt(256), shardedScene(256, 'strict', steps(undefined, undefined, [1.2])), opfsScene(256, 5.5, 3.3), strictScene(256, 5), checkpointScene(256),
  ]);
