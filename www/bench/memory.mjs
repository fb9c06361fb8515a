// What is looked at for memory, each contender in a fresh page: `store` in a page before it, `ready` before the measured `work`. The driver
// measures: a page cannot know what it takes.
import * as ours from 'tfpersist';
import { MB, modelOf } from './model.mjs';
import { loadFile, saveFile } from './opfs.mjs';
import { nameOf } from './run.mjs';
import { theirLoad, theirSave } from './tfjs.mjs';
import { download, upload } from './transfers.mjs';

const AT = { tfjs: 'indexeddb://memory', ours: 'opfs://memory' };
const saves = {
  tfjs: (artifacts) => theirSave(artifacts, AT.tfjs),
  raw: (artifacts) => saveFile('memory', artifacts.weightData),
  ours: (artifacts) => ours.save(artifacts, AT.ours),
};
const loads = { tfjs: () => theirLoad(AT.tfjs), raw: () => loadFile('memory'), ours: () => ours.load(AT.ours) };

/** The scenes of one size. `target` in MB beyond the start: `tfjs` TF.js's over ours at least, `ours` at most. */
export function memory(mb) {
  const save = { work: `peak memory ${mb} MB`, step: 'save', target: { tfjs: 1 / 0.15 }, contenders: {} };
  const load = { work: `peak memory ${mb} MB`, step: 'load', target: { tfjs: 1 / 0.4 }, note: 'the model itself counts', contenders: {} };
  for (const name of ['tfjs', 'raw', 'ours']) {
    save.contenders[name] = { ready: () => modelOf(mb * MB), work: saves[name] };
    load.contenders[name] = { store: () => saves[name](modelOf(mb * MB)), work: loads[name] };
  }
  const copies = [upload(mb), download(mb)].map(({ work, setup, contenders }) => ({
    work: `peak memory ${work}`, step: 'copy', target: { ours: 64 },
    contenders: Object.fromEntries(Object.entries(contenders).map(([name, { before, copy }]) => [name, {
      store: setup,
      ready() {
        const state = {};
        before?.(state);
        return state;
      },
      work: copy,
    }])),
  }));
  return [save, load, ...copies];
}

let ready; // stays in use until the page goes
let result;

/** One part of a contender, called by the driver; gives the name of the error if there is one. */
export async function part(scene, name, which) {
  const contender = memory(scene.mb)[scene.index].contenders[name];
  try {
    if (which === 'store') await contender.store?.();
    else if (which === 'ready') ready = await contender.ready?.();
    else result = await contender.work(ready);
  } catch (error) {
    return nameOf(error);
  }
}

/** Keeps this page's process busy, so that the driver finds it among others. */
export function busy(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** For the driver: what there is to measure, without the functions. */
export const memoryScenes = (mb) => memory(mb).map(({ contenders, ...scene }, index) => ({ ...scene, mb, index, names: Object.keys(contenders) }));
