// Runs the test files of this folder, one after the other, on the package in pkg/. Shows each runner's closing counts
// and, at the end, each file's seconds. Exits 1 when a test fails, is skipped, or a file has none.
// `node tests/interop/run.mjs quota reload` runs only those; ENGINES="chromium webkit" selects browsers.
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
const PATIENCE = 5 * 60 * 1000; // for one test: a promise that never settles must not hang the run

/** Runs one file; its output goes on to ours as it comes. */
function run(file) {
  const args = ['--test', '--test-reporter=spec', `--test-timeout=${PATIENCE}`, path.join(folder, file)];
  const started = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
    process.stdout.write(data);
  });
  return new Promise((resolve) => child.on('close', (code) => {
    const count = (what) => Number(output.match(new RegExp(`^ℹ ${what} (\\d+)$`, 'm'))?.[1] ?? 0);
    const counts = Object.fromEntries(['pass', 'fail', 'cancelled', 'skipped', 'todo'].map((what) => [what, count(what)]));
    const { pass, ...others } = counts;
    const ok = code === 0 && pass > 0 && Object.values(others).every((n) => n === 0);
    resolve({ file, ok, counts, seconds: (performance.now() - started) / 1000 });
  }));
}

const results = [];
for (const file of all.filter((f) => wanted.length === 0 || wanted.includes(f.replace('.test.mjs', '')))) {
  console.log(`\n--- ${file}`);
  results.push(await run(file));
}
console.log(`\n${'file'.padEnd(22)} seconds`);
for (const { file, ok, counts, seconds } of results) {
  const { pass, ...others } = counts;
  const rest = Object.entries(others).filter(([, n]) => n > 0).map(([what, n]) => `, ${n} ${what}`).join('');
  console.log(`${file.padEnd(22)} ${seconds.toFixed(1).padStart(7)}  ${ok ? 'ok    ' : 'FAILED'} ${pass} passed${rest}`);
}
const bad = results.filter((r) => !r.ok).length;
console.log(bad ? `${bad} of ${results.length} files FAILED` : `all ${results.length} files passed`);
process.exit(bad ? 1 : 0);
