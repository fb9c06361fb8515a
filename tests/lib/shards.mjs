// The sharded layout seen from outside: the rows of its catalog, and what lies in its two pools.
import { print } from './artifacts.mjs';
import { noise } from './bytes.mjs';
import { attempt, library } from './libraries.mjs';
import { clear, done, readDatabase } from './storage.mjs';

/** The library, in the build that has this layout, and its sweep. */
export async function sharded() {
  const lib = await library('tfpersist');
  await lib.default({ transfers: true });
  const { sweep } = await import('/pkg/tfpersist_transfers.js');
  return { sweep, ...lib };
}

/** A model of several weights: `[name, bytes, seed]` each. */
export function layered(name, weights) {
  return {
    modelTopology: { class_name: 'Test', config: { name } },
    format: 'layers-model',
    generatedBy: 'tests',
    convertedBy: null,
    userDefinedMetadata: { author: name },
    weightSpecs: weights.map(([weight, bytes]) => ({ name: weight, shape: [bytes / 4], dtype: 'float32' })),
    weightData: weights.map(([, bytes, seed]) => noise(seed, bytes)),
  };
}

/** Rows of 24 bytes: how many bytes, and a hash. */
function decodePieces(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const hash = (at) => [at + 16, at + 8].map((half) => view.getBigUint64(half, true).toString(16).padStart(16, '0')).join('');
  return Array.from({ length: bytes.byteLength / 24 }, (_, i) => ({ bytes: Number(view.getBigUint64(24 * i, true)), hash: hash(24 * i) }));
}

/** The files of the origin's private file system: path -> length. */
export async function files() {
  const out = {};
  const walk = async (folder, prefix) => {
    for await (const [name, entry] of folder.entries()) {
      if (entry.kind === 'directory') await walk(entry, `${prefix}${name}/`);
      else out[`${prefix}${name}`] = await entry.getFile().then((file) => file.size, () => undefined); // gone meanwhile
    }
  };
  if (globalThis.navigator?.storage?.getDirectory) await walk(await navigator.storage.getDirectory(), '').catch(() => {});
  return out;
}

/** What the catalog says, and the shards that lie in each pool, by name -> length. */
export async function catalog() {
  const stores = (await readDatabase('tfpersist'))?.stores ?? {};
  const rows = (store, tell) => Object.fromEntries((stores[store]?.records ?? []).map((row) => [row.key, tell(row)]));
  const lying = Object.entries(await files()).map(([path, length]) => [path.split('/').at(-1), length]);
  return {
    models: rows('models', ({ shards }) => shards),
    shards: rows('shards', ({ pool, pieces }) => ({ pool, pieces: decodePieces(pieces) })),
    pending: rows('pending', ({ shards }) => shards),
    pools: { indexeddb: rows('pool', ({ data }) => data.size ?? data.byteLength), opfs: Object.fromEntries(lying) },
  };
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

/** What a work puts into a pool: how many shards, how many bytes; and what it takes out. The sweep has been through before and after. */
export async function written(scheme, work) {
  const { sweep } = await sharded();
  const look = async () => (await catalog()).pools[scheme];
  await sweep();
  const before = await look();
  const value = await work();
  const meanwhile = await look();
  await sweep();
  const after = await look();
  const added = Object.keys(meanwhile).filter((name) => !(name in before));
  return { value, shards: added.length, bytes: sum(added.map((name) => meanwhile[name])), lengths: added.map((name) => meanwhile[name]),
    freed: sum(Object.keys(before).filter((name) => !(name in after)).map((name) => before[name])), left: sum(Object.values(after)) };
}

/** Changes records of an object store of the catalog: `change(record)` gives the new one, `undefined` to remove it. */
export async function tamper(store, change) {
  const db = await done(indexedDB.open('tfpersist'));
  const records = await done(db.transaction(store).objectStore(store).getAll());
  const changed = [];
  for (const record of records) changed.push([record.key, await change(record)]);
  const tx = db.transaction(store, 'readwrite');
  for (const [key, record] of changed) {
    if (record === undefined) tx.objectStore(store).delete(key);
    else tx.objectStore(store).put(record);
  }
  await done(tx);
  db.close();
}

/** Puts a record into an object store of the catalog. */
export async function plant(store, record) {
  const db = await done(indexedDB.open('tfpersist'));
  const tx = db.transaction(store, 'readwrite');
  tx.objectStore(store).put(record);
  await done(tx);
  db.close();
}

/** The handles of all files of the private file system: `[folder, name, handle]`. */
async function handles(folder) {
  const out = [];
  for await (const [name, entry] of folder.entries()) {
    if (entry.kind === 'directory') out.push(...await handles(entry));
    else out.push([folder, name, entry]);
  }
  return out;
}

/** Changes all shards of a pool: `change(bytes)` gives the new ones, `undefined` to remove it. */
export async function reshape(scheme, change) {
  if (scheme === 'indexeddb') {
    return tamper('pool', async ({ key, data }) => {
      const bytes = change(new Uint8Array(data instanceof Blob ? await data.arrayBuffer() : data));
      return bytes && { key, data: data instanceof Blob ? new Blob([bytes]) : bytes.slice().buffer };
    });
  }
  for (const [folder, name, handle] of await handles(await navigator.storage.getDirectory())) {
    const bytes = change(new Uint8Array(await (await handle.getFile()).arrayBuffer()));
    if (bytes === undefined) {
      await folder.removeEntry(name);
    } else {
      const stream = await handle.createWritable();
      await stream.write(bytes);
      await stream.close();
    }
  }
  return undefined;
}

/** Puts a shard into a pool that no row names. */
export async function plantShard(scheme, key, bytes) {
  if (scheme === 'indexeddb') return plant('pool', { key, data: new Blob([bytes]) });
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('tfpersist', { create: true });
  const stream = await (await folder.getFileHandle(key, { create: true })).createWritable();
  await stream.write(bytes);
  return stream.close();
}

/** An origin without data, in the private file system neither. */
export async function clearAll() {
  await clear();
  if (!navigator.storage?.getDirectory) return;
  const root = await navigator.storage.getDirectory();
  for await (const name of root.keys()) await root.removeEntry(name, { recursive: true });
}

/** Where something lies of a path of `indexeddb://`: TF.js's model and info, our row. */
async function places(path) {
  const theirs = (await readDatabase('tensorflowjs'))?.stores ?? {};
  const has = (store) => (theirs[store]?.records ?? []).some((record) => record.modelPath === path);
  const ours = `indexeddb://${path}` in (await catalog()).models;
  return [has('models_store') && 'model', has('model_info_store') && 'info', ours && 'shards'].filter(Boolean).join('+');
}

/** What stands at a path, in short: whose model a load gives, how the listing and `verify` have it, and where something lies of it. */
export async function standing(path, models) {
  const { load, listModels, verify } = await sharded();
  const url = `indexeddb://${path}`;
  const { value, error } = await attempt(() => load(url));
  const author = value?.userDefinedMetadata?.author;
  const whole = value && await print(value) === await print(models[author]);
  const rowOf = (row) => row && `${row.damage?.code ?? row.layout ?? 'tfjs'}`;
  const row = (await listModels('indexeddb://'))[url];
  const verified = await attempt(() => verify(url));
  return [error?.code ?? (whole ? author : 'a mixture'), rowOf(row) ?? 'not listed', rowOf(verified.value) ?? verified.error.code, await places(path)].join(', ');
}
