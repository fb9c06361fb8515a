// Peak memory of a page's own process: the kernel counts it (VmHWM), from the moment at which we set it back.
import fs from 'node:fs';
import { processes, unwatched } from '../../tests/lib/chromium.mjs';

const KB = 1024;
const MB = 2 ** 20;

function status(pid) {
  const text = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * KB;
  return { now: field('VmRSS'), peak: field('VmHWM') };
}

/** The page's renderer: the one that takes the processor when the page is told to. */
async function rendererOf(context, page) {
  const before = new Map((await processes(context)).map(({ id, cpuTime }) => [id, cpuTime]));
  await page.evaluate(() => globalThis.bench.busy(200));
  const renderers = (await processes(context)).filter(({ type }) => type === 'renderer');
  const used = ({ id, cpuTime }) => cpuTime - (before.get(id) ?? cpuTime);
  return renderers.sort((a, b) => used(b) - used(a))[0].id;
}

/** A page of its own renderer; the others are closed. */
async function freshPage(context, url) {
  const [page, old] = [await context.newPage(), context.pages()];
  await page.goto(url);
  for (const other of old.filter((each) => each !== page)) await other.close();
  await page.waitForFunction('globalThis.bench');
  await unwatched(page);
  return page;
}

async function collectGarbage(context, page) {
  const cdp = await context.newCDPSession(page);
  await cdp.send('HeapProfiler.collectGarbage');
  await cdp.detach();
}

/** Bytes beyond the start at the highest point of a contender's work, in its renderer. */
async function peakOf(context, url, scene, name) {
  const call = async (page, which) => {
    const failed = await page.evaluate(([s, n, w]) => globalThis.bench.part(s, n, w), [scene, name, which]);
    if (failed) throw new Error(failed);
  };
  await call(await freshPage(context, url), 'store');
  const page = await freshPage(context, url);
  await call(page, 'ready');
  await collectGarbage(context, page);
  const pid = await rendererOf(context, page);
  const start = status(pid).now;
  fs.writeFileSync(`/proc/${pid}/clear_refs`, '5'); // the peak is now what there is
  await call(page, 'work');
  return status(pid).peak - start;
}

/** The memory rows. `rowOf` is the page's, so that they are judged as the others are. */
export async function measureMemory(context, url, { mb, rounds, only, tell, rowOf }) {
  const first = await freshPage(context, url);
  const scenes = await first.evaluate((n) => globalThis.bench.memoryScenes(n), mb);
  const rows = [];
  for (const scene of scenes.filter(({ work, step }) => only(`${work} ${step}`))) {
    tell(`${scene.work} ${scene.step}`);
    const [samples, errors] = [{}, {}];
    for (let round = 0; round < rounds; round++) {
      for (const name of scene.names.filter((each) => !errors[each])) {
        try {
          (samples[name] ??= []).push(await peakOf(context, url, scene, name) / MB);
        } catch (error) {
          errors[name] = error.message.split('\n')[0];
        }
      }
    }
    rows.push(rowOf({ ...scene, unit: 'MB' }, samples, errors));
  }
  return rows;
}
