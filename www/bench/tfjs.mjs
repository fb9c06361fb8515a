// TF.js's tf.io as a contender: its handlers, and until what it did can be read by another connection.
import { visible } from './idb.mjs';

const io = () => globalThis.tf.io;
const pathOf = (url) => (url.startsWith('indexeddb://') ? url.slice('indexeddb://'.length) : undefined);

/** Where IndexedDB is concerned, waits for what TF.js does not wait for. */
async function settled(url, gone) {
  if (pathOf(url) !== undefined) await visible(pathOf(url), gone);
}

export const theirSave = async (artifacts, url) => {
  await io().getSaveHandlers(url)[0].save({ ...artifacts }); // it replaces weightData on what it gets
  await settled(url);
};
export const theirLoad = async (url) => (await io().getLoadHandlers(url)[0].load()).weightData;
export const theirRemove = async (url) => {
  await io().removeModel(url);
  await settled(url, true);
};
export const theirCopy = async (from, to) => {
  await io().copyModel(from, to);
  await settled(to);
};
export const theirMove = async (from, to) => {
  await io().moveModel(from, to);
  await settled(to);
  await settled(from, true);
};
export const theirList = () => io().listModels();
export const theirFiles = async (files) => (await io().browserFiles(files).load()).weightData;
