// Runs the fuzz targets of fuzz/, two at a time, from the committed corpus; what they find in it goes to target/, not into it.
// `make fuzz SECONDS=30`; TARGETS="url zip" selects. Ends as a runner of tests does, with how many passed and failed.
//   MINIMIZE=1: makes the committed corpus anew, of it and all that the runs here have collected.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = path.join(root, 'fuzz');
const scratch = path.join(root, 'target', 'fuzz-runs');
const seconds = Number(process.env.SECONDS ?? 30);
const all = fs.readdirSync(path.join(folder, 'fuzz_targets')).map((file) => file.replace('.rs', '')).sort();
const targets = process.env.TARGETS?.split(' ') ?? all;
if (!(seconds > 0) || targets.some((target) => !all.includes(target))) {
  console.error(`SECONDS must be a number, and TARGETS some of: ${all.join(', ')}`);
  process.exit(2);
}
// No sanitizer: it needs a nightly compiler, and there is no unsafe code in what is fuzzed. Overflows and assertions are checked.
const fuzz = (...args) => ['cargo', ['fuzz', ...args, '--sanitizer=none', `--target-dir=${path.join(root, 'target', 'fuzz')}`]];
/** No input takes longer (seconds) or more memory (MB), and none is larger: 100 KB would show what is quadratic. */
const LIMITS = ['-max_len=100000', '-timeout=10', '-rss_limit_mb=1024', '-malloc_limit_mb=512'];

/** A folder of the target's, empty unless it is to be kept. */
function scratchFolder(target, name, keep = false) {
  const at = path.join(scratch, target, name);
  if (!keep) fs.rmSync(at, { recursive: true, force: true });
  fs.mkdirSync(at, { recursive: true });
  return at;
}

function run(target) {
  const corpus = path.join(folder, 'corpus', target);
  const findings = scratchFolder(target, 'findings');
  const found = scratchFolder(target, 'corpus', true);
  const [command, args] = fuzz('run', target, found, corpus);
  const child = spawn(command, [...args, '--', ...LIMITS, `-max_total_time=${seconds}`, `-artifact_prefix=${findings}/`, '-print_final_stats=1'],
    { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (data) => { log += data; });
  return new Promise((resolve) => child.on('close', (code) => resolve({ target, code, log, findings })));
}

/** One line of what came of it; of a failure, how it ended and where the input lies. */
function tell({ target, code, log, findings }) {
  const executions = Number(/stat::number_of_executed_units:\s+(\d+)/.exec(log)?.[1] ?? 0);
  const [, coverage, features] = [...log.matchAll(/cov: (\d+) ft: (\d+)/g)].at(-1) ?? [];
  const inputs = fs.readdirSync(findings);
  const ok = code === 0 && executions > 0 && inputs.length === 0;
  console.log(`${target.padEnd(12)} ${ok ? 'ok    ' : 'FAILED'} ${executions} executions, coverage ${coverage}, features ${features}, findings ${inputs.length}`);
  if (!ok) console.log(log.slice(-6000), ...inputs.map((input) => `\nthe input: ${path.join(findings, input)}`));
  return ok;
}

/** What `cargo fuzz cmin` does, but with one input for each branch, not for each count of it: dozens instead of hundreds. */
function minimize(target) {
  const corpus = path.join(folder, 'corpus', target);
  const all = scratchFolder(target, 'corpus', true);
  if (fs.existsSync(corpus)) fs.cpSync(corpus, all, { recursive: true });
  fs.rmSync(corpus, { recursive: true, force: true });
  fs.mkdirSync(corpus, { recursive: true });
  const [command, args] = fuzz('run', target, corpus, all);
  const merge = ['-set_cover_merge=1', '-use_counters=0', '-max_len=1000'];
  if (spawnSync(command, [...args, '--', ...merge], { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] }).status !== 0) process.exit(1);
}

const [command, args] = fuzz('build');
if (spawnSync(command, args, { cwd: folder, stdio: 'inherit' }).status !== 0) process.exit(1);
if (process.env.MINIMIZE) {
  targets.forEach(minimize);
} else {
  const waiting = [...targets];
  const outcomes = [];
  const lane = async () => { while (waiting.length > 0) outcomes.push(tell(await run(waiting.shift()))); };
  await Promise.all([lane(), lane()]);
  const failed = outcomes.filter((ok) => !ok).length;
  console.log(`ℹ pass ${outcomes.length - failed}\nℹ fail ${failed}`);
  process.exit(failed ? 1 : 0);
}
