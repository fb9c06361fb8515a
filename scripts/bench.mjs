// `make bench`: TF.js, the raw platform call and tfpersist in turn, in one page. Writes target/bench/bench.md and bench.json, and prints the table.
// QUICK=1 is done in three minutes; ONLY="opfs relaxed" selects by a part of the names; ROUNDS=7; KEEP=1 also puts the result beside the page.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { markdown } from '../www/bench/report.mjs';
import { measure } from './bench/drive.mjs';

const at = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const { QUICK, ONLY, ROUNDS, KEEP } = process.env;
const started = performance.now();
const seconds = () => Math.round((performance.now() - started) / 1000);

const result = await measure({
  quick: Boolean(QUICK) && QUICK !== '0',
  ...(ROUNDS ? { rounds: Number(ROUNDS) } : {}),
  only: (name) => !ONLY || name.includes(ONLY),
  tell: (name) => console.error(`${String(seconds()).padStart(4)} s  ${name}`),
});
const [text, json] = [markdown(result), `${JSON.stringify(result, null, 1)}\n`];
fs.mkdirSync(at('target/bench'), { recursive: true });
fs.writeFileSync(at('target/bench/bench.md'), text);
fs.writeFileSync(at('target/bench/bench.json'), json);
if (KEEP) fs.writeFileSync(at('www/bench.json'), json);
console.log(`\n${text}\n${seconds()} s; target/bench/bench.md, bench.json`);
