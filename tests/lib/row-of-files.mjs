// The row of interop/thirteen-rows.test.mjs that is about Node's folders: the same models through `file://` and through tfjs-node's
// own handler.
import fs from 'node:fs';
import path from 'node:path';
import { plain, print } from './artifacts.mjs';
import { CASES } from './cases.mjs';
import { contents, folder, PACKAGE, realFileSystem } from './node.mjs';

/** Library -> how it saves into a folder and loads from there. */
async function handlers() {
  const NodeFileSystem = realFileSystem();
  const { load, save } = await import(PACKAGE);
  return {
    ours: { save: (model, at) => save(model, `file://${at}`), load: (at) => load(`file://${at}`) },
    theirs: { save: (model, at) => new NodeFileSystem(at).save(model), load: (at) => new NodeFileSystem(`${at}/model.json`).load() },
  };
}

/** Whether weights in three pieces are written as they are; tfjs-node makes a byte of each. */
async function pieces({ save }) {
  const [at, model] = [folder(), plain('m', 1, 4000)];
  const bytes = model.weightData;
  await save({ ...model, weightData: [bytes.slice(0, 5), new ArrayBuffer(0), bytes.slice(5)] }, at);
  const written = fs.readFileSync(path.join(at, 'weights.bin'));
  if (written.equals(Buffer.from(bytes))) return 'right';
  return written.equals(Buffer.alloc(3)) ? 'a zero byte each' : 'wrong';
}

/** Whether the folders above are made. */
async function parents({ save }) {
  const at = path.join(folder(), 'a/b');
  return save(plain('m', 1, 400), at).then(() => fs.existsSync(path.join(at, 'weights.bin')), (error) => error.code);
}

/** What a save leaves behind that fails at the weights: the new model's come as a stream, which breaks. */
async function failed({ save, load }) {
  const [at, old, fresh] = [folder(), plain('old', 1, 4000), plain('new', 2, 4000)];
  await save(old, at);
  const before = JSON.stringify(contents(at));
  const { weightData, ...rest } = fresh;
  const getWeightStream = () => new ReadableStream({ start: (controller) => controller.error(new Error('the line went dead')) });
  await save({ ...rest, getWeightStream }, at).then(() => { throw new Error('it was saved'); }, () => {});
  const found = await print(await load(at));
  if (found === await print(old)) return JSON.stringify(contents(at)) === before ? 'the old model' : 'the old model, and rubbish';
  return found === await print({ ...fresh, weightData: old.weightData }) ? 'the new topology with the old weights' : 'something else';
}

/** Which fields of a model are not in model.json. */
async function dropped({ save }) {
  const [at, { weightData, weightSpecs, ...fields }] = [folder(), await CASES['every field'].make()];
  await save({ ...fields, weightSpecs, weightData }, at);
  const written = JSON.parse(fs.readFileSync(path.join(at, 'model.json'), 'utf8'));
  return Object.keys(fields).filter((field) => !(field in written)).sort();
}

/** What comes of each scene, by library. */
export async function rowOfFiles() {
  const out = {};
  for (const [name, lib] of Object.entries(await handlers())) {
    out[name] = { pieces: await pieces(lib), parents: await parents(lib), failed: await failed(lib), dropped: await dropped(lib) };
  }
  return out;
}
