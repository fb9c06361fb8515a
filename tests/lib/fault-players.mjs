// Plays the scenes of the fault table in browsers, and compares what is found with what tests/fault-table.md says.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { dropper } from './counterparts.mjs';
import { ENGINES, openIn } from './engines.mjs';
import { IN_FILES, IN_PAGE, IN_SHARDS, IN_TRANSIT } from './fault-scenes.mjs';
import { faults, markdown, said, settled, UPDATE, write } from './fault-table.mjs';
import { KINDS } from './faults.mjs';

export const PART = 'In browsers';

/** Plays one scene in the page that `openIn` gave. */
export const inPage = (page, scene) => page.evaluate(async (scene) => {
  const { install, play } = await T.faults();
  const lib = await T.library('tfpersist');
  await lib.default();
  install();
  return play(lib, scene);
}, scene);

/** The same with the larger build alone. */
export const inShards = (page, scene) => page.evaluate(async (scene) => {
  const { install, playInShards } = await T.faults();
  const lib = await T.library('tfpersist');
  await lib.default({ transfers: true });
  install();
  return playInShards(lib, scene);
}, scene);

export const inWorker = (page, scene) => page.evaluate(async (scene) => {
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
export async function inTransit(page, scene) {
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
export const NAMES = [...IN_PAGE, ...IN_TRANSIT, ...IN_SHARDS, ...IN_FILES].map(({ name }) => name);
after(() => { if (UPDATE && written.size > 0) write(PART, written, NAMES); });

/** Only Chromium stores shards as Blobs: without the call that makes one, and the numbers after it. */
const withoutBlobs = (text) => text.split('\n').filter((line) => !/^(\| [\d–]+ \| )?new Blob \|/.test(line)).map((line) => line.replace(/^\| [\d–]+/, '|')).join('\n');

async function compare(page, play, scene, { isFirst, isBlobs }) {
  const rows = await play(page, scene);
  assert.deepEqual(faults(scene.name, rows), []);
  const found = markdown(rows, KINDS);
  if (UPDATE && isFirst) written.set(scene.name, found);
  const expected = (UPDATE && written.get(scene.name)) || said(PART, scene.name);
  const [actual, wanted] = [found, expected].map((text) => (scene.isSharded ? settled(text) : text)).map((text) => (isBlobs ? text : withoutBlobs(text)));
  assert.equal(actual, wanted, `tests/fault-table.md, ${scene.name}`);
}

const ONLY = new RegExp(process.env.SCENES ?? ''); // to look into one of them
/** A test for each `[engine, what it is called, how it is played, scenes]`. */
export function playAll(played) {
  for (const [engine, where, play, all] of played.filter(([engine]) => ENGINES.includes(engine))) {
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
}
