// bench.html: shows a result as bars, and measures the quick rows in the browser that shows it. Its driver calls `bench`.
import { draw } from './chart.mjs';
import { busy, memoryScenes, part } from './memory.mjs';
import { nameOf } from './report.mjs';
import { names, run } from './scenes.mjs';

globalThis.bench = { names, run, memoryScenes, part, busy };

const byId = (id) => document.getElementById(id);
const say = (text) => { byId('status').textContent = text; };
const QUICK = { quick: true, rounds: 3, share: 7000 };

async function show() {
  const response = await fetch('bench.json');
  if (!response.ok) {
    byId('origin').textContent = 'No result is kept here. Measure in this browser, or run make bench KEEP=1.';
    return;
  }
  const result = await response.json();
  byId('origin').textContent = `Measured ${result.when} in ${nameOf(result.engine)}, ${result.cores} cores${result.quick ? ', quick' : ''}.`;
  draw(byId('chart'), result.rows);
}

/** Whether scripts/bench/server.mjs serves this page. */
const hasServer = async () => (await fetch('/bench-server/drop', { method: 'POST', body: '' }).catch(() => ({}))).ok === true;

async function measureHere() {
  byId('measure').disabled = true;
  const rows = [];
  const works = names({ ...QUICK, server: await hasServer() });
  byId('origin').textContent = 'Measured in this browser, just now.';
  for (const [i, work] of works.entries()) {
    say(`${i + 1} of ${works.length}: ${work}`);
    rows.push(...await run(work, QUICK));
    draw(byId('chart'), rows);
  }
  say(`Done: ${rows.length} rows. Timings of one machine at one moment: compare the ratios.`);
  byId('measure').disabled = false;
}

if (!location.search.includes('driven')) {
  byId('measure').addEventListener('click', () => measureHere().catch((error) => say(`${error.name}: ${error.message}`)));
  await show();
}
