// The sizes that scripts/build-pkg.mjs wrote, as rows.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rowOf } from '../../www/bench/run.mjs';

const file = fileURLToPath(new URL('../../target/sizes.json', import.meta.url));

/** One row for each part of the package, in bytes after gzip. None before the first build. */
export function sizeRows() {
  if (!fs.existsSync(file)) return [];
  const { budget, inputs, outputs, ...parts } = JSON.parse(fs.readFileSync(file, 'utf8'));
  return Object.entries(parts).map(([name, { gzip }]) => (
    rowOf({ work: `size of ${name}`, step: '', unit: 'bytes', target: budget[name] ? { ours: budget[name] } : {}, note: 'gzip -9' }, { ours: [gzip] }, {})));
}
