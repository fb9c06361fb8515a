// Runs the test files of this folder, two at a time, on the package in pkg/: one alone leaves a quarter of two cores idle, or
// more. Shows what each printed when it is done and, at the end, each file's seconds. Exits 1 when a test fails, is skipped, or a
// file has none. `node tests/interop/run.mjs quota reload` runs only those; ENGINES="chromium webkit" selects browsers; LANES=1 runs
// one after the other.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = path.dirname(fileURLToPath(import.meta.url));
const all = fs.readdirSync(folder).filter((f) => f.endsWith('.test.mjs')).sort();
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !all.includes(`${name}.test.mjs`));
if (unknown.length > 0) {
  console.error(`no such test file: ${unknown.join(', ')}; there are: ${all.map((f) => f.replace('.test.mjs', '')).join(', ')}`);
  process.exit(2);
}
const files = all.filter((f) => wanted.length === 0 || wanted.includes(f.replace('.test.mjs', '')));
// Who writes the fault table does it alone: its files share it.
const lanes = process.env.UPDATE ? 1 : Math.min(Math.max(1, Math.trunc(Number(process.env.LANES ?? 2)) || 1), files.length);
const PATIENCE = lanes * 5 * 60 * 1000; // for a file: a promise that never settles must not hang the run

/** Runs one file. Its output goes on to ours as it comes if it is alone, and when it is done if it is not. */
function run(file) {
  const args = ['--test', '--test-reporter=spec', `--test-timeout=${PATIENCE}`, path.join(folder, file)];
  const started = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const show = (text) => {
    output += text;
    if (lanes === 1) process.stdout.write(text);
  };
  if (lanes > 1) console.log(`... ${file}`); // which one hung, if one does
  show(`\n--- ${file}\n`);
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', show);
  return new Promise((resolve) => child.on('close', (code) => {
    if (lanes > 1) process.stdout.write(output);
    const count = (what) => Number(output.match(new RegExp(`^ℹ ${what} (\\d+)$`, 'm'))?.[1] ?? 0);
    const counts = Object.fromEntries(['pass', 'fail', 'cancelled', 'skipped', 'todo'].map((what) => [what, count(what)]));
    const { pass, ...others } = counts;
    const ok = code === 0 && pass > 0 && Object.values(others).every((n) => n === 0);
    resolve({ file, ok, counts, seconds: (performance.now() - started) / 1000 });
  }));
}

const results = [];
const queue = [...files];
await Promise.all(Array.from({ length: lanes }, async () => {
  while (queue.length > 0) results.push(await run(queue.shift()));
}));
results.sort((a, b) => files.indexOf(a.file) - files.indexOf(b.file));
console.log(`\n${'file'.padEnd(22)} seconds`);
for (const { file, ok, counts, seconds } of results) {
  const { pass, ...others } = counts;
  const rest = Object.entries(others).filter(([, n]) => n > 0).map(([what, n]) => `, ${n} ${what}`).join('');
  console.log(`${file.padEnd(22)} ${seconds.toFixed(1).padStart(7)}  ${ok ? 'ok    ' : 'FAILED'} ${pass} passed${rest}`);
}
const bad = results.filter((r) => !r.ok).length;
console.log(bad ? `${bad} of ${results.length} files FAILED` : `all ${results.length} files passed`);
process.exit(bad ? 1 : 0);
