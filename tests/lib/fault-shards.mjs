// The sharded layout, seen without the library: what models name, what nobody names, and how it is put back as it was.
import { hex, sha256 } from './bytes.mjs';
import { deleteDatabase, done, readDatabase } from './storage.mjs';

export const CATALOG = 'tfpersist';

const stores = (records) => Object.fromEntries(Object.entries(records).map(([name, store]) => [name, store.records]));

/** Object store -> its records; undefined when there is no catalog. */
async function rows(name = CATALOG) {
  const whole = await readDatabase(name);
  return whole && stores(whole.stores);
}

/** All files of the origin's private file system: path -> handle. */
export async function files() {
  const found = {};
  const walk = async (directory, at) => {
    for await (const [name, handle] of directory.entries()) {
      if (handle.kind === 'file') found[at + name] = handle;
      else await walk(handle, `${at}${name}/`);
    }
  };
  const root = await navigator.storage?.getDirectory?.().catch(() => undefined); // not in every session
  if (root) await walk(root, '');
  return found;
}

const nameOf = (path) => path.split('/').at(-1);
const bytesOf = async (data) => (data instanceof Blob ? data.arrayBuffer() : data);

/** A row's pieces, and its placed ones: `bytes`, hash, and for the latter shard and offset. */
function pieces(bytes, size) {
  const view = new DataView(bytes.slice().buffer);
  return Array.from({ length: bytes.length / size }, (_, i) => {
    const at = i * size;
    const place = size > 24 ? ` of shard ${view.getUint32(at + 24, true)} at ${view.getBigUint64(at + 28, true)}` : '';
    return `${view.getBigUint64(at, true)} bytes hash:${hex(bytes.slice(at + 8, at + 24).buffer)}${place}`;
  });
}

/** A shard as the catalog and its pool have it, whole. */
async function shard(name, { shards, pool }, stored) {
  const row = shards.find(({ key }) => key === name);
  const record = pool.find(({ key }) => key === name)?.data;
  const file = Object.entries(stored).find(([path]) => nameOf(path) === name)?.[1];
  const data = record ? await bytesOf(record) : await (await file?.getFile())?.arrayBuffer();
  return { name, pool: row?.pool, pieces: row && pieces(row.pieces, 24), bytes: data && await sha256(data) };
}

/** Everything that a model names: its rows, and of its shards rows and bytes. `[]` without a catalog. */
export async function named() {
  const all = await rows();
  if (!all) return [];
  const stored = await files();
  return Promise.all(all.models.map(async ({ key, info, shards }) => {
    const { artifacts, weights } = all.headers.find((row) => row.key === key) ?? {};
    return {
      url: key, info: { ...info, dateSaved: new Date(info.dateSaved).toISOString() }, artifacts,
      weights: weights && pieces(weights, 36),
      shards: await Promise.all(shards.map((name) => shard(name, all, stored))),
    };
  }));
}

/** Paths that have a model in both layouts. */
async function twins({ models }) {
  const records = await rows('tensorflowjs');
  const paths = (records?.models_store ?? []).map(({ modelPath }) => `indexeddb://${modelPath}`);
  return models.map(({ key }) => key).filter((url) => paths.includes(url)).map((url) => `an older record of ${url}`);
}

/** What is there that no model needs: shards, their rows, saves under way, headers, older records. */
export async function unnamed() {
  const all = await rows();
  const stored = Object.keys(await files());
  if (!all) return stored.map((path) => `file ${path}`);
  const needed = new Set(all.models.flatMap(({ shards }) => shards));
  const models = new Set(all.models.map(({ key }) => key));
  return [
    ...stored.filter((path) => !needed.has(nameOf(path))).map((path) => `file ${path}`),
    ...all.pool.filter(({ key }) => !needed.has(key)).map(({ key }) => `record ${key}`),
    ...all.shards.filter(({ key }) => !needed.has(key)).map(({ key }) => `row of shard ${key}`),
    ...all.headers.filter(({ key }) => !models.has(key)).map(({ key }) => `header ${key}`),
    ...all.pending.map(({ key }) => `save under way ${key}`),
    ...await twins(all),
  ];
}

/** All that both layouts and the file system have, to be put back. */
export async function snapshot() {
  const kept = {};
  for (const name of [CATALOG, 'tensorflowjs']) kept[name] = await rows(name);
  const contents = {};
  for (const [path, handle] of Object.entries(await files())) contents[path] = await (await handle.getFile()).arrayBuffer();
  // Blobs of records that are deleted may become unreadable.
  for (const record of kept[CATALOG]?.pool ?? []) record.data = record.data instanceof Blob ? new Blob([await record.data.arrayBuffer()]) : record.data;
  return { databases: kept, files: contents };
}

async function restoreRows(name, kept) {
  if (!kept) return;
  const db = await done(indexedDB.open(name));
  try {
    const transaction = db.transaction(Object.keys(kept), 'readwrite', { durability: 'relaxed' });
    for (const [store, records] of Object.entries(kept)) {
      const at = transaction.objectStore(store);
      const there = new Set((await done(at.getAllKeys())).map(String));
      const key = (record) => String(record[at.keyPath]);
      for (const old of there) if (store !== 'pool' || !records.some((record) => key(record) === old)) at.delete(old);
      for (const record of records) if (store !== 'pool' || !there.has(key(record))) at.put(record);
    }
    await done(transaction);
  } finally {
    db.close();
  }
}

async function folder(path) {
  let at = await navigator.storage.getDirectory();
  for (const name of path.split('/').slice(0, -1)) at = await at.getDirectoryHandle(name, { create: true });
  return at;
}

async function restoreFiles(contents) {
  const there = await files();
  for (const path of Object.keys(there)) if (!(path in contents)) await (await folder(path)).removeEntry(nameOf(path));
  for (const [path, bytes] of Object.entries(contents)) {
    if (path in there && (await there[path].getFile()).size === bytes.byteLength) continue;
    const writing = await (await (await folder(path)).getFileHandle(nameOf(path), { create: true })).createWritable();
    await writing.write(bytes);
    await writing.close();
  }
}

/** As it was when `snapshot` looked. Shards never change, so those that are there are left. */
export async function restore({ databases, files }) {
  for (const [name, kept] of Object.entries(databases)) await restoreRows(name, kept);
  await restoreFiles(files);
}

/** No catalog, no file. */
export async function clearShards() {
  await deleteDatabase(CATALOG);
  const root = await navigator.storage?.getDirectory?.().catch(() => undefined);
  if (!root) return;
  for await (const name of root.keys()) await root.removeEntry(name, { recursive: true });
}
