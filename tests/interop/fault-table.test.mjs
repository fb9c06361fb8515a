// Every host call of every verb fails, one at a time, in every way it can: the old model is intact, or the new one is complete.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { dropper } from '../lib/counterparts.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';
import { FEW_IN_SHARDS, IN_FILES, IN_PAGE, IN_SHARDS, IN_TRANSIT, IN_WORKER } from '../lib/fault-scenes.mjs';
import { faults, markdown, said, scenesOf, UPDATE, write } from '../lib/fault-table.mjs';
import { KINDS } from '../lib/faults.mjs';

const PART = 'In browsers';

/** Plays one scene in the page that `openIn` gave. */
const inPage = (page, scene) => page.evaluate(async (scene) => {
  const { install, play } = await T.faults();
  const lib = await T.library('tfpersist');
  await lib.default();
  install();
  return play(lib, scene);
}, scene);

/** The same with the larger build alone. */
const inShards = (page, scene) => page.evaluate(async (scene) => {
  const { install, playInShards } = await T.faults();
  const lib = await T.library('tfpersist');
  await lib.default({ transfers: true });
  install();
  return playInShards(lib, scene);
}, scene);

const inWorker = (page, scene) => page.evaluate(async (scene) => {
  T.worker ??= await new Promise((resolve, reject) => {
    const worker = new Worker('/tests/lib/fault-worker.mjs', { type: 'module' });
    worker.onmessage = () => resolve(worker);
    worker.onerror = ({ message }) => reject(new Error(`the worker does not start: ${message}`));
  });
  const { rows, error } = await new Promise((resolve) => {
    T.worker.onmessage = ({ data }) => resolve(data);
    T.worker.postMessage(scene);
  });
  if (error) throw new Error(error);
  return rows;
}, scene);

let server, served;
/** With a server, whose files the page may see and set. */
async function inTransit(page, scene) {
  if (served !== page) {
    served = page;
    server = await dropper();
    await page.page.exposeFunction('files', (files) => {
      if (!files) return Object.fromEntries([...server.files].sort().map(([name, bytes]) => [name, bytes.toString('latin1')]));
      server.files.clear();
      for (const [name, text] of Object.entries(files)) server.files.set(name, Buffer.from(text, 'latin1'));
      return undefined;
    });
  }
  return page.evaluate(async ({ scene, url }) => {
    const { install, playInTransit } = await T.faults();
    const lib = await T.library('tfpersist');
    await lib.default({ transfers: true });
    install();
    return playInTransit(lib, scene, url);
  }, { scene, url: server.url });
}

const written = new Map(); // what Chromium's page finds is what the table says
const NAMES = [...IN_PAGE, ...IN_TRANSIT, ...IN_SHARDS, ...IN_FILES].map(({ name }) => name);
after(() => { if (UPDATE && written.size > 0) write(PART, written, NAMES); });

/** Only Chromium stores shards as Blobs: without the call that makes one, and the numbers after it. */
const withoutBlobs = (text) => text.split('\n').filter((line) => !line.includes('| new Blob |')).map((line) => line.replace(/^\| [\d–]+/, '|')).join('\n');

async function compare(page, play, scene, { isFirst, isBlobs }) {
  const rows = await play(page, scene);
  assert.deepEqual(faults(scene.name, rows), []);
  const found = markdown(rows, KINDS);
  if (UPDATE && isFirst) written.set(scene.name, found);
  const expected = (UPDATE && written.get(scene.name)) || said(PART, scene.name);
  assert.equal(...[found, expected].map(isBlobs ? (text) => text : withoutBlobs), `tests/fault-table.md, ${scene.name}`);
}

/** Between stores no call is made that is not made within one: Chromium's page alone will do for them. */
const single = (scenes) => scenes.filter(({ between, name }) => !between && !/:.*:.*:/.test(name));
/** A few for Firefox, which takes ten times as long to make and delete a database. */
const few = (scenes) => scenes.filter(({ name }) => /^(localstorage:..m → n: move, no|.*m: (save, over|remove|save, there))/.test(name));

const PLAYED = [
  ['chromium', 'in a page', inPage, IN_PAGE],
  ['chromium', 'with a server and downloads', inTransit, IN_TRANSIT],
  ['chromium', 'models in shards', inShards, IN_SHARDS],
  ['chromium', 'in a worker', inWorker, single(IN_WORKER)],
  ['chromium', 'files in a worker', inWorker, IN_FILES],
  ['firefox', 'in a page', inPage, few(IN_PAGE)],
  ['firefox', 'models in shards', inShards, FEW_IN_SHARDS],
];
// Models in shards make ten times as many calls: they are played with FULL=1 only, and take ten minutes.
const isPlayed = ([engine, where]) => ENGINES.includes(engine) && (process.env.FULL || !/shards|files/.test(where));
const ONLY = new RegExp(process.env.SCENES ?? ''); // to look into one of them
for (const [engine, where, play, all] of PLAYED.filter(isPlayed)) {
  test(`${engine}, ${where}: each call fails`, async (t) => {
    const scenes = all.filter(({ name }) => ONLY.test(name));
    let page;
    for (const scene of scenes) {
      page ??= await openIn(engine);
      let ok = false;
      await t.test(scene.name, async () => {
        await compare(page, play, scene, { isFirst: engine === 'chromium' && (play !== inWorker || scene.isSharded), isBlobs: engine === 'chromium' });
        ok = true;
      });
      if (!ok) page = await page.close(); // one that hangs is of no use any more
    }
    await page?.close();
  });
}

test('the table has no scene that is not played', () => {
  if (UPDATE) return; // it is written at the end
  assert.deepEqual(scenesOf(PART).filter((name) => !NAMES.includes(name)), []);
});
