// Drives www/bench.html in Chromium, on a fresh profile on the disk: the page measures, we settle the machine between its turns.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { launchPersistent, unwatched } from '../../tests/lib/chromium.mjs';
import { rowOf } from '../../www/bench/run.mjs';
import { measureMemory } from './memory.mjs';
import { serveBench } from './server.mjs';
import { sizeRows } from './sizes.mjs';

const SYNC = 3000; // ms: others may be writing, too

/** What one contender left in memory and on its way to the disk is not the next one's. */
function settler(profile) {
  return async ({ context, page }) => {
    const cdp = await context.newCDPSession(page);
    await cdp.send('HeapProfiler.collectGarbage');
    await cdp.detach();
    await new Promise((resolve) => { execFile('sync', ['-f', profile], { timeout: SYNC }, () => resolve()); });
  };
}

async function openPage(context, url, settle) {
  const page = await context.newPage();
  page.on('pageerror', (error) => console.error(`  page error: ${error.message}`));
  page.on('download', (download) => download.delete().catch(() => {}));
  await page.exposeFunction('settle', () => settle({ context, page }));
  await page.goto(url);
  await page.waitForFunction('globalThis.bench');
  await unwatched(page);
  return page;
}

/** Rows of the scenes that are wanted; a page that crashes is a row, and the next scene has a new one. */
async function measureScenes(context, url, { options, only, tell, settle }) {
  let page = await openPage(context, url, settle);
  const works = await page.evaluate((o) => globalThis.bench.names({ ...o, server: true, driven: true }), options);
  const [rows, wanted, end] = [[], works.filter(only), performance.now() + options.budget];
  for (const [i, work] of wanted.entries()) {
    tell(work);
    const share = (end - performance.now()) / (wanted.length - i);
    try {
      rows.push(...await page.evaluate(([w, o]) => globalThis.bench.run(w, o), [work, { ...options, share }]));
    } catch (error) {
      rows.push({ work, step: '', unit: 'ms', error: error.message.split('\n')[0] });
      await page.close().catch(() => {});
      page = await openPage(context, url, settle);
    }
  }
  return { rows, engine: await page.evaluate(() => navigator.userAgent) };
}

const LARGEST = {
  work: 'largest model', step: '', unit: '', note: '4 GB as a stream in both sharded pools: make test-big; TF.js ends at 0.5 to 1 GB',
};

/**
 * Everything, as one object. `only(name)` selects scenes; `rounds` count after one that does not, fewer when the scenes
 * together would take longer than `budget` ms; `tell(text)` hears what is being measured.
 */
export async function measure({
  quick = false, rounds = quick ? 3 : 7, budget = quick ? 100000 : 1800000, memory = quick ? 64 : 256, only = () => true, tell = () => {},
} = {}) {
  const server = await serveBench();
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'tfpersist-bench-'));
  const context = await launchPersistent(profile);
  try {
    const url = `${server.url}/bench.html?driven`;
    const options = { quick, rounds, budget };
    const { rows, engine } = await measureScenes(context, url, { options, only, tell, settle: settler(profile) });
    if (memory) rows.push(...await measureMemory(context, url, { mb: memory, rounds: quick ? 1 : 3, only, tell, rowOf }));
    rows.push(...[LARGEST, ...sizeRows()].filter(({ work }) => only(work)));
    return { when: new Date().toISOString().slice(0, 16).replace('T', ' '), engine, quick, cores: os.cpus().length, rows };
  } finally {
    await context.close();
    server.close();
    fs.rmSync(profile, { recursive: true, force: true });
  }
}
