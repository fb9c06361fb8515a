// What is tidied up in a folder, and what never: files that others wrote or still need, whatever fails, whoever is at work.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { test } from 'node:test';
import { plain, print } from '../lib/artifacts.mjs';
import { contents, folder, names, PACKAGE } from '../lib/node.mjs';

const { load, moveModel, removeModel, save } = await import(PACKAGE);
const [A, B, C] = ['A', 'B', 'C'].map((name, i) => plain(name, i + 1, 40000));
const DAY = 24 * 60 * 60 * 1000;

/** Does the work a day later. */
async function later(work) {
  const { now } = Date;
  Date.now = () => now() + DAY;
  try {
    return await work();
  } finally {
    Date.now = now;
  }
}

const loads = async (url, model) => assert.equal(await print(await load(url)), await print(model));

test('a folder that cannot be listed is not an empty one: no weights are removed, and what would find them again stays', async () => {
  const at = folder();
  await save(A, `file://${at}`);
  fs.copyFileSync(`${at}/model.json`, `${at}/v1.json`);
  const { readdir } = fsp;
  fsp.readdir = () => Promise.reject(Object.assign(new Error('injected'), { code: 'EMFILE' }));
  try {
    await save(B, `file://${at}`);
  } finally {
    fsp.readdir = readdir;
  }
  await loads(`file://${at}`, B);
  await loads(`file://${at}/v1.json`, A);
  await later(() => save(C, `file://${at}`)); // which sweeps
  await loads(`file://${at}/v1.json`, A);
  fs.rmSync(`${at}/v1.json`);
  await later(() => later(() => save(B, `file://${at}`)));
  assert.equal(names(at).filter((name) => name.endsWith('.tmp')).length, 0, names(at).join());
});

test('files that only look like ours are nobody\'s to sweep', async () => {
  const at = folder();
  const theirs = ['pretrained-weights.0123456789ABCDEF.bin', 'my-weights.0123456789abcdef.bin', 'weights.0123456789abcdef.bin', 'report.0123456789abcdef.tmp',
    'group1-shard1of1.bin', 'notes.json'];
  for (const name of theirs) fs.writeFileSync(`${at}/${name}`, name);
  const before = contents(at);
  await later(() => save(A, `file://${at}`));
  await later(() => save(B, `file://${at}`));
  await later(() => removeModel(`file://${at}`));
  assert.deepEqual(contents(at), before);
});

test('weights that the parent\'s model names are not swept out of a folder below', async () => {
  const at = folder();
  await save(A, `file://${at}/sub`);
  await save(B, `file://${at}/sub`); // its weights have a name of their own
  const json = JSON.parse(fs.readFileSync(`${at}/sub/model.json`, 'utf8'));
  json.weightsManifest[0].paths = json.weightsManifest[0].paths.map((name) => `sub/${name}`);
  fs.rmSync(`${at}/sub/model.json`);
  fs.writeFileSync(`${at}/model.json`, JSON.stringify(json));
  await later(() => save(C, `file://${at}/sub`));
  await loads(`file://${at}`, B);
});

test('a removal that was killed, and two saves at once: what a save is just linking is not swept', async () => {
  for (let i = 0; i < 12; i++) {
    const at = folder();
    const url = `file://${at}`;
    await save(A, url, { shardBytes: 4000 });
    const yesterday = (Date.now() - DAY) / 1000;
    fs.utimesSync(`${at}/model.json`, yesterday, yesterday);
    fs.renameSync(`${at}/model.json`, `${at}/model.json.00112233aabbccdd.tmp`);
    for (const name of names(at).filter((file) => file.endsWith('.bin'))) fs.rmSync(`${at}/${name}`);
    const saving = save(B, url, { shardBytes: 4000 });
    await new Promise((resolve) => { setTimeout(resolve, i); });
    await save(C, url);
    await saving;
    assert.ok([await print(B), await print(C)].includes(await print(await load(url))));
  }
});

test('a removal of a damaged model while a save is between its link and its commit', async () => {
  const at = folder();
  const url = `file://${at}`;
  await save(A, url);
  fs.rmSync(`${at}/weights.bin`);
  const json = fs.readFileSync(`${at}/model.json`);
  fs.rmSync(`${at}/model.json`);
  // The save finds no model and takes TF.js's name; then the damaged model comes back and is removed.
  const { rename } = fsp;
  let once = true;
  fsp.rename = async (from, to) => {
    if (once && to.endsWith('/model.json')) {
      once = false;
      fs.writeFileSync(`${at}/model.json`, json);
      await removeModel(url);
    }
    return rename(from, to);
  };
  try {
    await save(B, url);
  } finally {
    fsp.rename = rename;
  }
  await loads(url, B);
});

/** B in eight pieces as a stream, of which each waits until `before` has been done. */
function slowly(before) {
  const bytes = new Uint8Array(B.weightData);
  let at = 0;
  const pull = async (out) => {
    if (at >= bytes.length) return out.close();
    await before(at / 5000);
    out.enqueue(bytes.slice(at, at += 5000));
  };
  return { ...B, weightData: undefined, getWeightStream: () => new ReadableStream({ pull }, { highWaterMark: 0 }) };
}

for (const [what, act, stands] of [['saves', (url) => save(C, url), C], ['removes', (url) => removeModel(url), undefined]]) {
  test(`a save that takes longer than a day, while another ${what} and takes it for dead: it fails, and replaces nothing`, async () => {
    for (const first of [7, 3]) {
      const at = folder();
      const url = `file://${at}/m`;
      await save(A, url);
      const intruding = async (piece) => {
        if (piece !== first) return;
        const written = names(`${at}/m`).filter((name) => name.endsWith('.tmp')).at(-1);
        fs.utimesSync(`${at}/m/${written}`, (Date.now() + DAY) / 1000, (Date.now() + DAY) / 1000); // only those that are finished look dead
        await later(() => act(url));
      };
      const { code } = await save(slowly(intruding), url, { shardBytes: 10000 }).then(() => ({ code: 'saved' }), (error) => error);
      assert.equal(code, 'ERR_STORAGE');
      if (stands) await loads(url, stands);
      else assert.equal((await load(url).catch((error) => error)).code, 'ERR_NOT_FOUND');
      await save(A, url);
      assert.deepEqual(names(url.slice(7)).length, 2, `${names(url.slice(7))}`);
    }
  });
}

for (const [how, ends] of [['ends', undefined], ['fails', new Error('no more')]]) {
  for (const options of [{}, { shardBytes: 20000 }, { overwrite: false }]) {
    test(`a first save that takes longer than a day, in whose place others saved, and then ${how} (${JSON.stringify(options)}): theirs stays`, async () => {
      const url = `file://${folder()}/m`;
      const intruding = async (piece) => {
        if (piece !== 7) return;
        await later(async () => {
          await save(A, url, options);
          await removeModel(url);
          await save(C, url, options);
        });
        if (ends) throw ends;
      };
      const error = await save(slowly(intruding), url, options).then(() => assert.fail('it was saved'), (failure) => failure);
      if (ends) assert.equal(error, ends);
      else assert.match(error.code, /^ERR_(STORAGE|ALREADY_EXISTS)$/);
      await loads(url, C);
    });
  }
}

test('a save that takes hours, but goes on, is not taken for dead', async () => {
  const url = `file://${folder()}/m`;
  await save(A, url);
  const { now } = Date;
  let passed = 0;
  Date.now = () => now() + passed;
  try {
    await save(slowly(async (piece) => {
      passed += 50 * 60 * 1000;
      if (piece === 7) await save(C, url);
    }), url, { shardBytes: 10000 });
  } finally {
    Date.now = now;
  }
  await loads(url, B);
});

test('a move leaves a model that was saved since in its place, at every moment', async () => {
  const at = folder();
  const url = `file://${at}/m`;
  await save(A, url);
  const { rename } = fsp;
  let taken = 0;
  const watched = async (from, to) => {
    if (from.endsWith('/model.json')) taken += 1;
    return rename(from, to);
  };
  const { readFile } = fsp;
  let reads = 0;
  fsp.readFile = async (...args) => {
    const answer = await readFile(...args);
    // After the last look at the source, and before it is removed.
    if (String(args[0]).endsWith('/model.json') && ++reads === 3) await save(B, url);
    return answer;
  };
  fsp.rename = watched;
  try {
    await moveModel(url, 'memory://moved');
  } finally {
    Object.assign(fsp, { rename, readFile });
  }
  assert.equal(await print(await load('memory://moved')), await print(B), 'it began again');
  assert.equal(taken, 1, 'only what was meant was ever taken away');
});
