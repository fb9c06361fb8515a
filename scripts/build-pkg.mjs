// cargo -> wasm-bindgen (--target web) -> wasm-opt -> pkg/, three times: one package for browsers, bundlers and Node, with a small build
// of the wasm for pages that only use stores, one with everything, and one for Node with its file system as well.
// Prints what it weighs, and exits 1 when that is over budget.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import zlib from 'node:zlib';
import { shortenNames } from './short-names.mjs';

const KB = 1024;
const BUDGET = { wasm: 95 * KB, js: 10 * KB, 'transfers wasm': 248 * KB, 'transfers js': 8 * KB }; // bytes after gzip -9

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
const cargoHome = process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo');
process.env.PATH = [path.join(root, 'node_modules/.bin'), path.join(cargoHome, 'bin'), process.env.PATH].join(path.delimiter);
const run = (cmd, args, options) => execFileSync(cmd, args, { stdio: 'inherit', ...options });
const filesIn = (dir) => fs.readdirSync(dir, { recursive: true }).map(String)
  .filter((f) => fs.statSync(path.join(dir, f)).isFile()).sort();
const hash = (files) => {
  const h = createHash('sha256');
  for (const f of files) h.update(`${f}\0`).update(fs.readFileSync(f)).update('\0');
  return h.digest('hex');
};

// --- the module -----------------------------------------------------------------------------------
const target = 'wasm32-unknown-unknown';
const meta = JSON.parse(run('cargo', ['metadata', '--format-version', '1', '--filter-platform', target],
  { stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 28 }));
const crate = meta.packages.find((p) => path.dirname(p.manifest_path) === root);
const name = 'tfpersist';

// Panic messages name source files: shorten the folders of the dependencies, so that the module does not
// depend on (or tell) where it was built.
const parents = new Set(meta.packages.filter((p) => p.source).map((p) => path.dirname(path.dirname(p.manifest_path))));
const rustflags = [...parents].sort().map((dir) => `--remap-path-prefix=${dir}=deps`);
/** Builds of the wasm, and the features of each. */
const builds = { [name]: ['--no-default-features'], [`${name}_transfers`]: ['--no-default-features', '--features=transfers'], [`${name}_node`]: [] };
/** Compresses a little better (254.3 -> 253.9 KB); without the inlining that functions ask for it would be less still, but hashing takes a tenth longer. */
const INLINE = ['-C', 'llvm-args=-inline-threshold=15'];
/** The larger ones hash what they store, which SIMD makes half as long; every engine that has OPFS has it. */
const SIMD = ['-C', 'target-feature=+simd128'];
/** Each has a folder of its own: in one, cargo would compile again whatever the last build had other flags or features for. */
const folderOf = (build) => path.join(meta.target_directory, 'package', build);
const builtAs = (build) => path.join(folderOf(build), target, 'release', `${name}.wasm`);
for (const [build, features] of Object.entries(builds)) {
  run('cargo', ['build', '--release', '--lib', '--target', target, '--target-dir', folderOf(build), ...features],
    { env: { ...process.env, CARGO_ENCODED_RUSTFLAGS: [...rustflags, ...INLINE, ...(build === name ? [] : SIMD)].join('\x1f') } });
}

// --- nothing to do? -------------------------------------------------------------------------------
// wasm-opt takes most of the time, so the last build's inputs and outputs are remembered by hash.
const entries = filesIn('js').filter((f) => /\.(js|d\.ts)$/.test(f));
for (const f of ['index.js', 'all.js', 'node.js', 'core.js', 'files.js', 'origin.js', 'info.js', 'worker.js', 'index.d.ts']) {
  if (!entries.includes(f)) throw new Error(`js/${f} is missing`);
}
const extras = ['README.md', 'LICENSE', 'CHANGELOG.md'].filter((f) => fs.existsSync(f));
const inputs = hash([...Object.keys(builds).map(builtAs), ...entries.map((f) => `js/${f}`), ...extras,
  'pkg.json.template', 'package-lock.json', 'Cargo.toml', 'scripts/build-pkg.mjs', 'scripts/short-names.mjs']);
const outputs = () => hash(filesIn('pkg').map((f) => `pkg/${f}`));
const sizesFile = path.join(meta.target_directory, 'sizes.json');
const last = fs.existsSync(sizesFile) && JSON.parse(fs.readFileSync(sizesFile, 'utf8'));
const fresh = last && last.inputs === inputs && fs.existsSync('pkg') && last.outputs === outputs();
if (fresh) console.log('pkg/ is up to date'); else writePackage();

function writePackage() {
  fs.rmSync('pkg', { recursive: true, force: true });
  Object.keys(builds).forEach(writeBuild);
  for (const f of entries) {
    if (fs.existsSync(`pkg/${f}`)) throw new Error(`js/${f} has the name of a generated file`);
    fs.mkdirSync(path.dirname(`pkg/${f}`), { recursive: true });
    // Everybody downloads what is in the scripts: comments and white space, 400 bytes, stay here. Names do not: stack traces show them.
    if (f.endsWith('.js')) run('esbuild', [`js/${f}`, '--minify-whitespace', '--minify-syntax', '--format=esm', '--target=es2022', '--log-level=warning', `--outfile=pkg/${f}`]);
    else fs.copyFileSync(`js/${f}`, `pkg/${f}`);
  }
  for (const f of extras) fs.copyFileSync(f, `pkg/${f}`);
  fs.rmSync('pkg/snippets', { recursive: true, force: true });
  const pkg = fill(JSON.parse(fs.readFileSync('pkg.json.template', 'utf8')));
  fs.writeFileSync('pkg/package.json', JSON.stringify(pkg, null, 2) + '\n');
}

function writeBuild(build) {
  // Not `strip = true` in Cargo.toml: that removes the list of features which wasm-opt needs.
  run('wasm-bindgen', ['--target', 'web', '--no-typescript', '--out-dir', 'pkg', '--out-name', build,
    '--remove-name-section', '--remove-producers-section', builtAs(build)]);
  const wasm = `pkg/${build}_bg.wasm`;
  const glue = `pkg/${build}.js`;
  shortenNames(glue, wasm);
  // Functions that are called once stay functions: smaller ones compress better (164 -> 157 KB for what was the larger build then).
  // So does what -O2 makes of them, though it is 10 KB more before gzip than -Oz (253.9 -> 252.5 KB).
  run('wasm-opt', ['-O2', '-s', '1', '--converge', '--one-caller-inline-max-function-size=16', wasm, '-o', wasm]);
  if (fs.readFileSync(wasm).includes(cargoHome)) throw new Error(`${wasm} names the builder's home folder`);

  // What the wasm imports from js/ lies beside it, once for all builds.
  fs.writeFileSync(glue, fs.readFileSync(glue, 'utf8').replaceAll(/(from ["'])\.\/snippets\/[^/]+\/js\//g, '$1./'));
  if (/from ["']\.\/snippets/.test(fs.readFileSync(glue, 'utf8'))) throw new Error(`${glue} imports what is not in js/`);

  // The glue is generated, so nobody reads it.
  run('esbuild', [glue, '--minify', '--tree-shaking=true', '--format=esm', '--target=es2022', '--log-level=warning',
    `--outfile=${glue}`, '--allow-overwrite']);
  if (!new RegExp(`new URL\\(["'\`]${build}_bg\\.wasm["'\`], ?import\\.meta\\.url\\)`).test(fs.readFileSync(glue, 'utf8'))) {
    throw new Error(`${glue} lost the URL of its .wasm, which bundlers look for`);
  }
}

// "{{field}}" becomes that field of Cargo.toml, whatever its type; without a value the key is dropped.
function fill(template) {
  return Object.fromEntries(Object.entries(template).map(([key, value]) => {
    const field = /^\{\{(\w+)\}\}$/.exec(value)?.[1];
    return [key, field ? crate[field] : value];
  }).filter(([, value]) => value != null && value.length !== 0));
}

// --- sizes ----------------------------------------------------------------------------------------
const weigh = (f) => {
  const bytes = fs.readFileSync(`pkg/${f}`);
  return { file: f, raw: bytes.length, gzip: zlib.gzipSync(bytes, { level: 9 }).length };
};
const sum = (files, key) => files.reduce((n, f) => n + f[key], 0);
const part = (pattern, without) => {
  const files = filesIn('pkg').filter((f) => pattern.test(f) && !without?.test(f)).map(weigh);
  return { raw: sum(files, 'raw'), gzip: sum(files, 'gzip'), files };
};
const late = /^(tfpersist_transfers|tfpersist_node|all|node|worker)/; // what a page that only uses stores never fetches
const sizes = {
  wasm: part(/\.wasm$/, late),
  js: part(/\.js$/, late),
  'transfers wasm': part(/^tfpersist_transfers.*\.wasm$/),
  'transfers js': part(/^(tfpersist_transfers|all).*\.js$/),
  'worker js': part(/^worker\.js$/),
  'node wasm': part(/^tfpersist_node.*\.wasm$/),
};
fs.writeFileSync(sizesFile, JSON.stringify({ inputs, outputs: outputs(), budget: BUDGET, ...sizes }, null, 2) + '\n');

const line = (...cells) => console.log(cells.map((c, i) => (i ? String(c).padStart(10) : c.padEnd(15))).join(''));
line('pkg/', 'bytes', 'gzip -9', 'budget', '');
let over = false;
for (const [what, { raw, gzip }] of Object.entries(sizes)) {
  if (!BUDGET[what]) { // nobody downloads Node's for each visit
    line(what, raw, gzip);
    continue;
  }
  const ok = gzip <= BUDGET[what];
  over ||= !ok;
  line(what, raw, gzip, BUDGET[what], ok ? `${Math.round((gzip / BUDGET[what]) * 100)} %` : 'OVER');
}
if (over) {
  console.error('the package is over its size budget');
  process.exitCode = 1;
}
