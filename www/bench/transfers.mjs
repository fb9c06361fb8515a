// Scenes of what models go through: servers, files, downloads; and the first call. Targets as in stores.mjs. The server is
// scripts/bench/server.mjs: it gives models of any size, and drops what it gets.
import * as ours from 'tfpersist';
import { check, header, MB, modelOf, stamp } from './model.mjs';
import { fileOf, removeFile, saveFile, writer } from './opfs.mjs';
import { theirCopy, theirFiles, theirLoad, theirRemove, theirSave } from './tfjs.mjs';

const SHARD = 4 * MB;
const LANES = 6;
let requests = 0;
/** A model that no cache has, and whose shards are those of no other. */
const published = (mb, shards) => {
  requests += 1;
  return `${location.origin}/bench-server/model/${Math.round(performance.timeOrigin) % 1e9 * 1e4 + requests}/${mb * MB}/${shards}/model.json`;
};
const drop = () => `${location.origin}/bench-server/drop`;

async function asked(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status}`);
  return response;
}

async function pathsOf(url) {
  const { weightsManifest } = await (await asked(url)).json();
  return weightsManifest[0].paths.map((path) => new URL(path, url));
}

const rawLoad = async (url) => Promise.all((await pathsOf(url)).map(async (path) => (await asked(path)).arrayBuffer()));
const rawPost = async (json, weights) => {
  const form = new FormData();
  form.append('model.json', new Blob([json], { type: 'application/json' }), 'model.json');
  form.append('model.weights.bin', weights, 'model.weights.bin');
  const response = await fetch(drop(), { method: 'POST', body: form });
  if (!response.ok) throw new Error(`${response.status}`);
  await response.text();
};
/** Plain fetches in lanes, each answer written where it belongs. */
async function rawDownload(url, name) {
  const [paths, file] = [await pathsOf(url), await writer(name)];
  let next = 0;
  await Promise.all(Array.from({ length: LANES }, async () => {
    for (let i = next++; i < paths.length; i = next++) await file.write(i * SHARD, await (await asked(paths[i])).arrayBuffer());
  }));
  await file.close();
}

/** Bytes alone are compared: the server's are its own. */
const whole = (mb) => (state, weightData) => {
  const length = [weightData].flat().reduce((n, { byteLength }) => n + byteLength, 0);
  if (length !== mb * MB) throw new Error(`${length} bytes of weights`);
};
const loader = (mb, make, load) => ({ before: (state) => { state.source = make(state); }, load: ({ source }) => load(source), check: { load: whole(mb) } });

function httpLoadScene(mb, shards, tfjs) {
  const make = () => published(mb, shards);
  return {
    work: `http ${mb} MB, ${shards === 1 ? 'one file' : `${shards} shards`}`,
    server: true,
    steps: { load: { tfjs, raw: 1.1 } },
    contenders: {
      tfjs: loader(mb, make, theirLoad), raw: loader(mb, make, rawLoad), ours: loader(mb, make, async (url) => (await ours.load(url)).weightData),
    },
  };
}

function httpSaveScene(mb) {
  const json = () => JSON.stringify(header(mb * MB));
  return {
    work: `http ${mb} MB, one request`,
    server: true,
    steps: { save: { tfjs: 1.15, raw: 1.1 } },
    setup: async () => ({ artifacts: modelOf(mb * MB) }),
    contenders: {
      tfjs: { save: ({ artifacts }) => theirSave(artifacts, drop()) },
      raw: { save: ({ artifacts }) => rawPost(json(), new Blob([artifacts.weightData])) },
      ours: { save: ({ artifacts }) => ours.save(artifacts, drop()) },
    },
  };
}

/** Opfs to a server; the raw call sends a File. TF.js has its model in IndexedDB. */
export const upload = (mb) => ({
  work: `opfs to http ${mb} MB`,
  server: true,
  steps: { copy: { raw: 1 / 0.9 } },
  note: 'raw: fetch of a File',
  async setup() {
    const artifacts = modelOf(mb * MB);
    await theirSave(artifacts, 'indexeddb://m');
    await saveFile('m', artifacts.weightData);
    await ours.save(artifacts, 'opfs://m').catch(() => {});
  },
  contenders: {
    tfjs: { copy: () => theirCopy('indexeddb://m', drop()) },
    raw: { copy: async () => rawPost(JSON.stringify(header(mb * MB)), await fileOf('m')) },
    ours: { copy: () => ours.copyModel('opfs://m', drop()) },
  },
  async teardown() {
    await theirRemove('indexeddb://m');
    await removeFile('m');
    await ours.removeModel('opfs://m').catch(() => {});
  },
});

const fetched = (mb, copy, after) => ({
  before: (state) => { state.source = published(mb, mb * MB / SHARD); }, copy: ({ source }) => copy(source), after,
});

/** A server to opfs; the raw call writes plain fetches. TF.js writes IndexedDB. */
export const download = (mb) => ({
  work: `http to opfs ${mb} MB`,
  server: true,
  steps: { copy: { raw: 1 / 0.9 } },
  note: 'raw: fetch and write',
  contenders: {
    tfjs: fetched(mb, (url) => theirCopy(url, 'indexeddb://m'), () => theirRemove('indexeddb://m')),
    raw: fetched(mb, (url) => rawDownload(url, 'm'), () => removeFile('m')),
    ours: fetched(mb, (url) => ours.copyModel(url, 'opfs://m'), () => ours.removeModel('opfs://m')),
  },
});

function downloadsScene(mb) {
  const click = (blob, name) => {
    const link = Object.assign(document.createElement('a'), { download: name, href: URL.createObjectURL(blob) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  // Chromium refuses more than ten files a second.
  const before = ({ artifacts }) => new Promise((resolve) => { stamp(artifacts); setTimeout(resolve, 500); });
  return {
    work: `downloads ${mb} MB`,
    driven: true, // nobody wants them in the own folder
    steps: { save: { tfjs: 1.8, raw: 1.1 } },
    note: 'until the promise resolves, not until the files are on the disk',
    setup: async () => ({ artifacts: modelOf(mb * MB) }),
    contenders: {
      tfjs: { before, save: ({ artifacts }) => theirSave(artifacts, 'downloads://theirs') },
      raw: {
        before,
        async save({ artifacts }) {
          click(new Blob([JSON.stringify(header(mb * MB))]), 'raw.json');
          click(new Blob([artifacts.weightData]), 'raw.weights.bin');
        },
      },
      ours: { before, save: ({ artifacts }) => ours.save(artifacts, 'downloads://ours') },
    },
  };
}

/** Files as a person picks them, in memory here. */
function filesScene(mb, count) {
  const setup = async () => {
    const { weightData, weightSpecs, ...rest } = modelOf(mb * MB);
    const names = Array.from({ length: count }, (_, i) => `shard${i}.bin`);
    const json = JSON.stringify({ ...rest, weightsManifest: [{ paths: names, weights: weightSpecs }] });
    const size = mb * MB / count;
    const files = names.map((name, i) => new File([weightData.slice(i * size, (i + 1) * size)], name));
    return { files: [new File([json], 'model.json', { type: 'application/json' }), ...files] };
  };
  const all = ({ files }) => files;
  return {
    work: `files ${mb} MB, ${count === 1 ? 'one file' : `${count} files`}`,
    steps: { load: { tfjs: 1, raw: 1.1 } },
    setup,
    contenders: {
      tfjs: loader(mb, all, theirFiles),
      raw: loader(mb, all, async ([json, ...weights]) => {
        JSON.parse(await json.text());
        return Promise.all(weights.map((file) => file.arrayBuffer()));
      }),
      ours: loader(mb, all, async (files) => (await ours.load(files)).weightData),
    },
  };
}

/** A page within this one, in which nothing is loaded yet: what `first.html` measures. */
function inside(what) {
  return new Promise((resolve, reject) => {
    const frame = Object.assign(document.createElement('iframe'), { src: new URL(`./first.html?${what}`, import.meta.url), hidden: true });
    const hear = ({ source, data }) => {
      if (source !== frame.contentWindow) return;
      removeEventListener('message', hear);
      frame.remove();
      if (data.error) reject(new Error(data.error)); else resolve(data.ms);
    };
    addEventListener('message', hear);
    document.body.append(frame);
  });
}

const firstScene = () => ({
  work: 'first call after import',
  small: true,
  server: true, // ours, because it lets the browser keep the package
  steps: { call: { ours: 30 } },
  note: 'raw: fetch and compile alone',
  contenders: { raw: { timed: true, call: () => inside('compile') }, ours: { timed: true, call: () => inside('call') } },
});

export const transfers = (quick) => {
  const mb = quick ? 16 : 64;
  return [
    upload(quick ? 64 : 256), download(quick ? 64 : 256), httpLoadScene(mb, mb / 4, 1), httpLoadScene(mb, 1, 1.2), httpSaveScene(mb), downloadsScene(mb),
    filesScene(64, 1), filesScene(64, 16), firstScene(),
  ];
};
