// downloads:// in Chromium and Firefox, looked at on the disk: names, bytes, zips; and where it cannot be.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { arrived, newFolder } from '../lib/disk.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';

const names = (files) => files.map((file) => path.basename(file));
const read = (files) => files.map((file) => fs.readFileSync(file).toString('hex'));
/** What `unzip -v` says of each entry: method, bytes, name. */
const entries = (zip) => execFileSync('unzip', ['-v', zip], { encoding: 'utf8' }).split('\n')
  .map((line) => /^ *(\d+) +(\w+:?\w*) +(\d+) +\d+% (\S+) .* (\S+)$/.exec(line)).filter(Boolean)
  .map(([, bytes, method, , date, name]) => ({ bytes: Number(bytes), method, date, name }));

for (const engine of ENGINES.filter((engine_) => engine_ !== 'webkit')) {
  let page, folder;
  before(async () => {
    folder = newFolder();
    page = await openIn(engine, { html: 'page', downloads: folder });
  });
  /** Saves as a download; gives the files that arrive, and clears the folder. */
  async function downloaded(count, stem, options) {
    await page.reload(); // one page's downloads are not another's
    const { error } = await page.evaluate(async ({ stem, options }) => {
      const { save } = await T.library('tfpersist');
      return T.attempt(async () => { await save(T.plain('downloaded', 5, 1000), `downloads://${stem}`, options); });
    }, { stem, options });
    assert.equal(error, undefined);
    const files = await arrived(folder, count);
    const moved = newFolder();
    return files.map((file) => {
      const to = path.join(moved, path.basename(file));
      fs.renameSync(file, to);
      return to;
    });
  }

  test(`${engine}: the two files are byte for byte those of TF.js`, async () => {
    await page.evaluate(async () => {
      const model = await T.build('metadata');
      await (await T.library('tf.io')).save(model, 'downloads://theirs');
      await (await T.library('tfpersist')).save(model, 'downloads://ours');
    });
    const files = await arrived(folder, 4);
    assert.deepEqual(names(files), ['ours.json', 'ours.weights.bin', 'theirs.json', 'theirs.weights.bin']);
    const [json, weights, theirJson, theirWeights] = files.map((file) => fs.readFileSync(file, 'latin1'));
    assert.equal(json, theirJson.replace('./theirs.weights.bin', './ours.weights.bin'));
    assert.equal(weights, theirWeights);
    files.forEach((file) => fs.rmSync(file));
  });

  test(`${engine}: names that no file system and no browser changes; shards`, async () => {
    assert.deepEqual(names(await downloaded(2, '')), ['model.json', 'model.weights.bin']);
    const odd = await downloaded(2, 'a/b:c*');
    assert.deepEqual(names(odd), ['a_b_c_.json', 'a_b_c_.weights.bin']);
    assert.deepEqual(JSON.parse(fs.readFileSync(odd[0])).weightsManifest[0].paths, ['./a_b_c_.weights.bin']);
    const shards = await downloaded(4, 'm', { shardBytes: 400 });
    assert.deepEqual(names(shards), [1, 2, 3].map((i) => `m.group1-shard${i}of3.bin`).concat('m.json'));
    assert.deepEqual(shards.slice(0, 3).map((file) => fs.statSync(file).size), [400, 400, 200]);
    assert.equal(read(shards.slice(0, 3)).join(''), read(await downloaded(2, 'm'))[1]);
  });

  test(`${engine}: one zip, stored, dated today, that other tools read`, async () => {
    const [zip, ...others] = await downloaded(1, 'm', { zip: true, shardBytes: 600 });
    assert.deepEqual([names([zip]), others], [['m.zip'], []]);
    execFileSync('unzip', ['-tq', zip]);
    const found = entries(zip);
    const today = new Date().toISOString().slice(0, 10);
    assert.deepEqual(found.map(({ bytes, ...rest }) => rest), ['model.json', 'group1-shard1of2.bin', 'group1-shard2of2.bin']
      .map((name) => ({ method: 'Stored', date: today, name })));
    const to = newFolder();
    execFileSync('unzip', ['-q', zip, '-d', to]);
    const whole = read(['group1-shard1of2.bin', 'group1-shard2of2.bin'].map((name) => path.join(to, name))).join('');
    assert.equal(whole, read(await downloaded(2, 'm'))[1]);
    execFileSync('python3', ['-c', 'import sys, zipfile; assert zipfile.ZipFile(sys.argv[1]).testzip() is None', zip]);
  });

  test(`${engine}: the links still work when save has resolved; an abort downloads nothing more; workers say why not`, async () => {
    const found = await page.evaluate(async () => {
      const { save } = await T.library('tfpersist');
      const links = [];
      const caught = (event) => { links.push(event.target.href); event.preventDefault(); };
      const create = document.createElement;
      document.createElement = (...args) => {
        const element = create.apply(document, args);
        element.addEventListener('click', caught);
        return element;
      };
      await save(T.plain('m', 1, 1000), 'downloads://m');
      const sizes = [];
      for (const link of links.splice(0)) sizes.push((await (await fetch(link)).arrayBuffer()).byteLength);
      const controller = new AbortController();
      const onProgress = () => controller.abort('enough');
      const reason = await save(T.plain('m', 1, 1000), 'downloads://m', { signal: controller.signal, onProgress }).catch((e) => e);
      document.createElement = create;
      const code = `
        import { save } from '${location.origin}/pkg/index.js';
        save({ modelTopology: {} }, 'downloads://m').catch(({ code, why }) => postMessage({ code, why }));`;
      const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })), { type: 'module' });
      const refused = await new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); });
      return { sizes, reason, clicks: links.length, refused };
    });
    assert.equal(found.sizes[1], 1000);
    assert.deepEqual([found.reason, found.clicks], ['enough', 1]);
    assert.equal(found.refused.code, 'ERR_NOT_SUPPORTED');
    assert.match(found.refused.why, /worker/);
  });
}
