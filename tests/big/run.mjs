// A model of 4 GB in each pool, saved as a stream that is made as it goes, listed, verified, read back as a stream, removed and swept,
// while the memory of the renderer is watched. GB=1 POOLS="opfs" choose; PROFILE is where the browser's data may lie, on a real disk.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { serve } from '../../scripts/serve.mjs';
import * as chromium from '../lib/chromium.mjs';

const MB = 2 ** 20;
const BYTES = Number(process.env.GB || 4) * 1024 * MB;
const POOLS = (process.env.POOLS || 'opfs indexeddb').split(' ').filter(Boolean);
const MOST = 300 * MB; // of the renderer, above its start
const INTERVAL = 50; // ms between looks at the memory
const SHARDS = BYTES / (16 * MB);

/** Bytes of a process in memory; 0 when it is gone. */
function resident(id) {
  try {
    return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${id}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

/** The memory of a browser: of its renderers, and of all other processes. */
async function memoryOf(context) {
  const all = await chromium.processes(context);
  const kinds = [all.filter(({ type }) => type === 'renderer'), all.filter(({ type }) => type !== 'renderer')];
  const look = () => kinds.map((processes) => sum(processes.map(({ id }) => resident(id))));
  const start = look();
  let peak = start;
  const timer = setInterval(() => { peak = look().map((now, i) => Math.max(now, peak[i])); }, INTERVAL);
  return {
    /** The peaks since the last call, above the start. */
    above() {
      const above = peak.map((most, i) => most - start[i]);
      peak = look();
      return above;
    },
    end: () => clearInterval(timer),
  };
}

/** Bytes of all files in a folder; some may go meanwhile. */
function size(folder) {
  return sum(fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    .map((entry) => fs.statSync(path.join(entry.parentPath ?? entry.path, entry.name), { throwIfNoEntry: false })?.size ?? 0));
}

/** What a step must give: all bytes; of the removal all shards. */
const expected = (name) => JSON.stringify(name === 'remove' ? [SHARDS, 0] : BYTES);

/** All steps in one pool; rows of the table. */
async function play(pool, server, profile) {
  const context = await chromium.launchPersistent(profile, '--js-flags=--expose-gc');
  const page = await context.newPage();
  await chromium.open(page, `${server.url}/tests/lib/bare.html`);
  const step = (name) => page.evaluate(async ([work, url, bytes]) => (await import('/tests/big/page.mjs'))[work](url, bytes), [name, `${pool}://big`, BYTES]);
  const cdp = await context.newCDPSession(page);
  await step('begin');
  const memory = await memoryOf(context);
  const rows = [];
  try {
    for (const name of ['save', 'list', 'verify', 'read', 'remove']) {
      await cdp.send('HeapProfiler.collectGarbage'); // what the step before left is not this one's
      memory.above();
      const started = performance.now();
      const found = JSON.stringify(await step(name));
      const seconds = (performance.now() - started) / 1000;
      const [renderer, others] = memory.above();
      const wrong = [found !== expected(name) && `${found} instead of ${expected(name)}`, renderer > MOST && 'too much memory'].filter(Boolean);
      rows.push({ pool, name, seconds, renderer, others, disk: size(profile), wrong });
      console.log(line(rows.at(-1)));
    }
  } finally {
    memory.end();
    await context.close();
  }
  return rows;
}

const cells = (...values) => `| ${values.join(' | ')} |`;
const megabytes = (bytes) => Math.round(bytes / MB);
const line = ({ pool, name, seconds, renderer, others, disk, wrong }) => cells(pool, name, seconds.toFixed(1),
  ['list', 'remove'].includes(name) ? '' : Math.round(BYTES / MB / seconds), megabytes(renderer), megabytes(others), megabytes(disk), wrong.join(', ') || 'ok');

const server = await serve();
const rows = [];
console.log(`${BYTES / MB} MB\n${cells('pool', 'step', 'seconds', 'MB/s', 'renderer above start, MB', 'other processes, MB', 'profile on disk, MB', '')}\n${cells(...Array(8).fill('---'))}`);
for (const pool of POOLS) {
  const profile = fs.mkdtempSync(path.join(process.env.PROFILE || os.tmpdir(), 'tfpersist-big-'));
  try {
    rows.push(...await play(pool, server, profile));
  } finally {
    fs.rmSync(profile, { recursive: true, force: true });
  }
}
server.close();
const bad = rows.filter(({ wrong }) => wrong.length > 0);
console.log(bad.length ? `${bad.length} of ${rows.length} steps FAILED` : `all ${rows.length} steps passed`);
process.exit(bad.length || rows.length !== 5 * POOLS.length ? 1 : 0);
