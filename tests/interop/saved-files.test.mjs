// What downloads:// leaves on the disk, of every kind of model and under awkward names: files that both libraries load.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { arrived, asText, newFolder } from '../lib/disk.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';

const engines = ENGINES.filter((engine) => engine !== 'webkit'); // which cannot be told where to download to
const KINDS = ['sequential', 'cnn', 'optimizer', 'metadata', 'graph'];
const MB = 2 ** 20;

/** Stem -> what the files are called, where that is ours to say. Browsers change more names than one would think. */
const STEMS = {
  'my model-1': 'my model-1',
  '': 'model',
  'folder/of\\some a:b*c?d"e<f>g|h': 'folder_of_some a_b_c_d_e_f_g_h',
  ' .hidden. ': 'hidden',
  'tab\tand line\nbreak': undefined,
  'ünï \u{1F600} 模型': 'ünï \u{1F600} 模型',
  "../../up $HOME `ls` #1 & 'quoted'; {x} [y] (2) a~": undefined,
  '~tilde': undefined, // Chromium
  '100%25': undefined, // Firefox
  'two  spaces, and\u00a0others\u2003too': undefined, // Firefox
  'right\u202eto left, soft\u00adhyphen, zero\u200bwidth, \u{1F468}\u200d\u{1F467}, \ufeffmark': undefined, // both
  ['long '.repeat(80)]: undefined, // both, and Chromium downloads nothing
  ['模'.repeat(100)]: undefined,
};

for (const engine of engines) {
  describe(engine, () => {
    let page, folder;
    before(async () => {
      folder = newFolder();
      page = await openIn(engine, { html: 'page', downloads: folder });
    });

    beforeEach(() => fs.readdirSync(folder).forEach((name) => fs.rmSync(path.join(folder, name)))); // what a failed test left

    /** The files that have arrived, taken away so that their names are free again. */
    async function taken(count) {
      const away = newFolder();
      for (const file of await arrived(folder, count)) fs.renameSync(file, path.join(away, path.basename(file)));
      const names = fs.readdirSync(away).sort();
      const files = names.map((name) => path.join(away, name));
      if (engine === 'chromium') await sleep(300); // it allows a page 10 downloads a second
      return { names, files, bytes: files.map((file) => fs.readFileSync(file)) };
    }

    /** Saves a plain model of `size` bytes; gives the files that arrive. */
    async function downloaded(count, stem, options, size = 4000) {
      await page.evaluate(async ({ stem, options, size }) => {
        const { save } = await T.library('tfpersist');
        await save(T.plain('m', 1, size), `downloads://${stem}`, options ?? undefined);
      }, { stem, options, size });
      return taken(count);
    }

    /** That these files are the plain model, for our `load`. */
    async function assertPlain(files, size = 4000) {
      const [found, expected] = await page.evaluate(async ({ rows, size }) => {
        const { load } = await T.library('tfpersist');
        return Promise.all([await load(T.filesOf(rows)), T.plain('m', 1, size)].map(T.print));
      }, { rows: asText(files), size });
      assert.equal(found, expected);
    }

    for (const kind of KINDS) {
      test(`${kind}: the two files are those of TF.js, and both libraries load them`, async () => {
        const bytes = await page.evaluate(async (kind) => {
          const { save } = await T.library('tfpersist');
          const model = window.model = await T.build(kind);
          await model.save('downloads://theirs', T.KINDS[kind].save);
          await new Promise((resolve) => { setTimeout(resolve, 50); }); // TF.js does not wait for its last click
          return (await save(model, 'downloads://ours', T.KINDS[kind].save)).modelArtifactsInfo.weightDataBytes;
        }, kind);
        const { names, files, bytes: [json, weights, theirJson, theirWeights] } = await taken(4);
        assert.deepEqual(names, ['ours.json', 'ours.weights.bin', 'theirs.json', 'theirs.weights.bin']);
        assert.equal(json.toString(), theirJson.toString().replace('./theirs.weights.bin', './ours.weights.bin'));
        assert.ok(weights.equals(theirWeights));
        assert.equal(weights.length, bytes);
        const [expected, ...found] = await page.evaluate(async ({ kind, rows }) => {
          const { load, loadModel, browserFiles } = await T.library('tfpersist');
          const files = T.filesOf(rows);
          const tfLoad = T.KINDS[kind].graph ? tf.loadGraphModel : tf.loadLayersModel;
          const models = [window.model, await tfLoad(tf.io.browserFiles(files)), await tfLoad(browserFiles(files)),
            await loadModel(tf, files.toReversed()), await tfLoad(tf.io.fromMemory(await load(files)))];
          return Promise.all(models.map(async (model) => {
            const { names, weights, optimizer, metadata } = await T.knowledge(kind, model);
            return { predictions: await T.predict(kind, model), names, weights, metadata, optimizer: kind === 'optimizer' ? optimizer : [] };
          }));
        }, { kind, rows: asText(files.slice(0, 2)) });
        assert.equal(found.length, 4);
        for (const one of found) assert.deepEqual(one, expected);
      });
    }

    for (const [stem, name] of Object.entries(STEMS)) {
      test(`the stem ${JSON.stringify(stem).slice(0, 60)}: both files arrive in the folder, and the one names the other`, async () => {
        const { names, files, bytes } = await downloaded(2, stem);
        if (name !== undefined) assert.deepEqual(names, [`${name}.json`, `${name}.weights.bin`]);
        assert.deepEqual(JSON.parse(bytes[0]).weightsManifest[0].paths, [`./${names[1]}`]);
        await assertPlain(files);
      });
    }

    test('shardBytes: all shards arrive, and TF.js loads them', async () => {
      await page.evaluate(async () => {
        const { save } = await T.library('tfpersist');
        window.model = await T.build('cnn');
        await save(window.model, 'downloads://m', { shardBytes: 100 });
      });
      const { names, files, bytes } = await taken(7);
      const paths = [1, 2, 3, 4, 5, 6].map((i) => `./m.group1-shard${i}of6.bin`);
      assert.deepEqual(names, [...paths.map((p) => p.slice(2)), 'm.json']);
      assert.deepEqual(JSON.parse(bytes[6]).weightsManifest[0].paths, paths);
      assert.deepEqual(bytes.slice(0, 5).map((b) => b.length), [100, 100, 100, 100, 100]);
      const [expected, found] = await page.evaluate(async (rows) => {
        const model = await tf.loadLayersModel(tf.io.browserFiles(T.filesOf(rows)));
        return [await T.predict('cnn', window.model), await T.predict('cnn', model)];
      }, asText([files[6], ...files.slice(0, 6)])); // TF.js wants the JSON first
      assert.deepEqual(found, expected);
    });

    test('25 shards, more than the 10 downloads a second that Chromium allows: none is lost', async () => {
      const { names, files } = await downloaded(26, 'm', { shardBytes: 160 });
      assert.equal(names.length, 26);
      await assertPlain(files);
    });

    for (const atOnce of [true, false]) {
      test(`eight saves, ${atOnce ? 'at once' : 'one after the other'}: all sixteen files arrive, each whole`, async () => {
        await page.evaluate(async (atOnce) => {
          const { save } = await T.library('tfpersist');
          const saves = [];
          for (let i = 1; i <= 8; i++) {
            saves.push(save(T.plain('m', i, 4000 + 4 * i), `downloads://m${i}`));
            if (!atOnce) await saves.at(-1);
          }
          await Promise.all(saves);
        }, atOnce);
        const { names, bytes } = await taken(16);
        assert.deepEqual(names, [1, 2, 3, 4, 5, 6, 7, 8].flatMap((i) => [`m${i}.json`, `m${i}.weights.bin`]));
        assert.deepEqual(bytes.filter((_, i) => i % 2).map((b) => b.length), [1, 2, 3, 4, 5, 6, 7, 8].map((i) => 4000 + 4 * i));
      });
    }

    // (Chromium, driven like this, replaces the first files.)
    if (engine === 'firefox') test('saved twice: the browser numbers the second files, and each pair loads', async () => {
      await page.evaluate(async () => {
        const { save } = await T.library('tfpersist');
        for (const seed of [1, 2]) await save(T.plain('m', seed, 4000), 'downloads://m');
      });
      const { names, files } = await taken(4);
      const numbered = names.map((name) => /\(1\)/.test(name));
      assert.equal(numbered.filter(Boolean).length, 2, names.join());
      const prints = await page.evaluate(async (pairs) => {
        const { load } = await T.library('tfpersist');
        const prints = [];
        for (const rows of pairs) prints.push(await T.print(await load(T.filesOf(rows))));
        return [prints, await Promise.all([1, 2].map((seed) => T.print(T.plain('m', seed, 4000))))];
      }, [false, true].map((second) => asText(files.filter((_, i) => numbered[i] === second))));
      assert.deepEqual(prints[0], prints[1]);
    });

    for (const [options, size, shards] of [[{}, 9 * MB, 3], [{ shardBytes: 1000 }, 4000, 4], [{ shardBytes: 1e9 }, 4000, 1]]) {
      test(`zip ${JSON.stringify(options)}: one file, which unzip unpacks to files that TF.js would load, and which loads`, async () => {
        const { names, files } = await downloaded(1, 'm', { zip: true, ...options }, size);
        assert.deepEqual(names, ['m.zip']);
        const out = newFolder();
        execFileSync('unzip', ['-q', files[0], '-d', out]);
        const { paths } = JSON.parse(fs.readFileSync(`${out}/model.json`)).weightsManifest[0];
        assert.deepEqual(paths, Array.from({ length: shards }, (_, i) => `group1-shard${i + 1}of${shards}.bin`));
        assert.deepEqual(fs.readdirSync(out).sort(), [...paths, 'model.json']);
        if (shards > 1) assert.equal(fs.statSync(`${out}/${paths[0]}`).size, options.shardBytes ?? 4 * MB);
        await assertPlain(files, size);
        if (size < MB) await assertPlain(['model.json', ...paths].map((name) => path.join(out, name)), size);
      });
    }

    test('a zip out of a store, by copyModel', async () => {
      await page.evaluate(async () => {
        const { save, copyModel } = await T.library('tfpersist');
        await save(T.plain('m', 1, 4000), 'indexeddb://m');
        await copyModel('indexeddb://m', 'downloads://copy', { zip: true });
      });
      const { names, files } = await taken(1);
      assert.deepEqual(names, ['copy.zip']);
      await assertPlain(files);
    });
  });
}

test('chromium: legal artifacts off the beaten track are what TF.js downloads', async () => {
  const page = await openIn('chromium', { html: 'page' });
  const rows = await page.evaluate(async () => {
    const [theirs, ours] = await Promise.all(['tf.io', 'tfpersist'].map(T.library));
    const rows = [];
    for (const [name, { make }] of Object.entries(T.CASES)) {
      const artifacts = await make();
      const links = await T.clicked(() => ours.save(artifacts, 'downloads://m'));
      const files = links.map(([file, type, bytes]) => new File([Uint8Array.from(bytes.match(/../g) ?? [], (h) => parseInt(h, 16))], file, { type }));
      rows.push({
        name, ours: links, theirs: await T.clicked(() => theirs.save(artifacts, 'downloads://m')),
        loaded: await T.attempt(async () => T.print(await ours.load(files))), expected: await T.print(artifacts),
      });
    }
    return rows;
  });
  for (const { name, ours, theirs, loaded, expected } of rows) {
    // TF.js names a file of weights that are not there.
    if (name !== 'topology only') assert.deepEqual(ours, theirs, name);
    assert.deepEqual(loaded, { value: expected }, name);
  }
  await page.close();
});

test('chromium: the links work until somebody may have allowed the second download, and are then revoked', async () => {
  const page = await openIn('chromium', { html: 'page' });
  const { early, late, delays } = await page.evaluate(async () => {
    const { save } = await T.library('tfpersist');
    const { setTimeout: real } = window;
    const { createObjectURL } = URL;
    const [urls, timers] = [[], []];
    URL.createObjectURL = (blob) => { urls.push(createObjectURL.call(URL, blob)); return urls.at(-1); };
    window.setTimeout = (work, delay, ...rest) => (delay > 5000 ? timers.push({ work, delay }) : real(work, delay, ...rest));
    try {
      const model = T.plain('m', 1, 4000);
      await save(model, 'downloads://m');
      new Uint8Array(model.weightData).fill(0); // what the caller does now does not change the files
    } finally {
      Object.assign(window, { setTimeout: real });
      Object.assign(URL, { createObjectURL });
    }
    const bytesOf = async (url) => T.sha256(await (await fetch(url)).arrayBuffer());
    const get = () => Promise.all(urls.map(async (url) => (await T.attempt(() => bytesOf(url))).value));
    const early = await get();
    for (const { work } of timers) work();
    const isWhole = early[1] === await T.sha256(T.plain('m', 1, 4000).weightData);
    return { early: [early.length, isWhole], late: await get(), delays: timers.map(({ delay }) => delay) };
  });
  assert.deepEqual(early, [2, true]);
  assert.deepEqual(late, [undefined, undefined]);
  assert.ok(delays.every((delay) => delay >= 30000), delays.join());
  await page.close();
});
