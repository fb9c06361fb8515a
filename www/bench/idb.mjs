// IndexedDB as promises, the records that TF.js writes, and when they can be read.

export const asked = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

export const complete = (tx) => new Promise((resolve, reject) => {
  tx.oncomplete = () => resolve();
  tx.onabort = () => reject(tx.error);
});

const opened = {};

/** A connection that stays, to a database of these object stores. */
export function database(name, stores) {
  opened[name] ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => Object.entries(stores).forEach(([store, options]) => request.result.createObjectStore(store, options));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened[name];
}

const MODEL = 'models_store';
const INFO = 'model_info_store';
export const THEIRS = { [MODEL]: { keyPath: 'modelPath' }, [INFO]: { keyPath: 'modelPath' } };
export const theirs = () => database('tensorflowjs', THEIRS);

const info = ({ weightData }) => ({
  dateSaved: new Date(), modelTopologyType: 'JSON', modelTopologyBytes: 129, weightSpecsBytes: 435, weightDataBytes: weightData.byteLength,
});

/** Puts TF.js's two records into a transaction over both stores. */
export function putRecord(tx, modelPath, modelArtifacts) {
  tx.objectStore(MODEL).put({ modelPath, modelArtifacts });
  tx.objectStore(INFO).put({ modelPath, modelArtifactsInfo: info(modelArtifacts) });
}

export async function saveRecord(db, path, artifacts) {
  const tx = db.transaction([MODEL, INFO], 'readwrite');
  putRecord(tx, path, artifacts);
  await complete(tx);
}

export async function loadRecord(db, path) {
  const { modelArtifacts } = await asked(db.transaction(MODEL).objectStore(MODEL).get(path));
  return modelArtifacts.weightData;
}

export async function removeRecord(db, path) {
  const tx = db.transaction([MODEL, INFO], 'readwrite');
  for (const store of [MODEL, INFO]) tx.objectStore(store).delete(path);
  await complete(tx);
}

/** Both records of `count` models `prefix0`, `prefix1`, ...; without artifacts they are removed. */
export async function manyRecords(prefix, count, artifacts) {
  const tx = (await theirs()).transaction([MODEL, INFO], 'readwrite');
  for (let i = 0; i < count; i++) {
    if (artifacts) putRecord(tx, `${prefix}${i}`, artifacts);
    else for (const store of [MODEL, INFO]) tx.objectStore(store).delete(`${prefix}${i}`);
  }
  await complete(tx);
}

export const infos = async () => asked((await theirs()).transaction(INFO).objectStore(INFO).getAll());

/**
 * Resolves when this second connection can read TF.js's model (or, `gone`, no longer can): TF.js itself resolves before its transactions are
 * complete, and reads wait for those.
 */
export async function visible(path, gone = false) {
  const tx = (await theirs()).transaction([MODEL, INFO]);
  const found = await Promise.all([MODEL, INFO].map((store) => asked(tx.objectStore(store).getKey(path))));
  if (found.some((key) => (key === undefined) !== gone)) throw new Error(`${path} is ${gone ? 'still' : 'not'} there`);
}
