// The package as it is installed from its tarball: without a bundler, with Vite, webpack and esbuild, each run in Chromium.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as chromium from '../lib/chromium.mjs';
import { newFolder } from '../lib/disk.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const bin = (name) => path.join(root, 'node_modules/.bin', name);
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };
let app, browser;
before(async () => {
  app = newFolder();
  const tarball = execFileSync('npm', ['pack', path.join(root, 'pkg'), '--silent'], { cwd: app, encoding: 'utf8' }).trim();
  fs.mkdirSync(path.join(app, 'node_modules/tfpersist'), { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', 'node_modules/tfpersist'], { cwd: app });
  fs.copyFileSync(path.join(root, 'tests/packaging/app.js'), path.join(app, 'app.js'));
  fs.writeFileSync(path.join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }');
  fs.writeFileSync(path.join(app, 'index.html'), '<!doctype html><link rel="icon" href="data:,"><script type="module" src="./app.js"></script>');
  browser = await chromium.launch();
});
after(() => browser?.close());

/** Serves a folder. */
async function serve(folder, headers) {
  const server = http.createServer((request, response) => {
    const file = path.join(folder, request.url === '/' ? 'index.html' : new URL(request.url, 'http://host').pathname);
    if (!fs.existsSync(file)) return response.writeHead(404).end();
    return response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'text/plain', ...headers }).end(fs.readFileSync(file));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const stop = () => {
    server.close();
    server.closeAllConnections();
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, stop };
}

/** Serves the folder, opens its page, and gives what the app answers. */
async function answerOf(folder, html, headers) {
  if (html) fs.writeFileSync(path.join(folder, 'index.html'), html);
  const { origin, stop } = await serve(folder, headers);
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`${origin}/`);
    await page.waitForFunction('document.title');
    return JSON.parse(await page.title());
  } finally {
    await context.close();
    stop();
  }
}

/** What is in opfs:// when workers of these origins were tried; without one it is written through streams. */
const filed = (tried, streams = 0) => ({ weights: [1, 2, 3, 4], tried, streams });
/** The small build is fetched first, the other one for the files, and both know of what is in memory. The worker is found. */
const EXPECTED = { first: 1, both: 2, listed: ['indexeddb://packaged', 'memory://shared'], modelTopology: { b: 2 }, filed: filed(['http:']) };

/** A page whose package is here. */
const map = (entry, where = '/node_modules/tfpersist') => `<!doctype html><link rel="icon" href="data:,">
  <script type="importmap">{ "imports": { "tfpersist": "${where}/${entry}" } }</script><script type="module" src="app.js"></script>`;

test('no bundler: an import map', async () => {
  assert.deepEqual(await answerOf(app, map('index.js')), EXPECTED);
  assert.deepEqual(await answerOf(app, map('all.js')), { ...EXPECTED, first: 1, both: 1 }, 'tfpersist/all: one build for everything');
});

test('the package on another origin: the worker starts from its text', async () => {
  const cdn = await serve(path.join(app, 'node_modules/tfpersist'), { 'access-control-allow-origin': '*' });
  try {
    assert.deepEqual(await answerOf(app, map('index.js', cdn.origin)), { ...EXPECTED, filed: filed(['blob:']) });
  } finally {
    cdn.stop();
  }
});

test('a policy that forbids workers: streams write', async () => {
  const headers = { 'content-security-policy': "worker-src 'none'" };
  assert.deepEqual(await answerOf(app, map('index.js'), headers), { ...EXPECTED, filed: filed(['http:', 'blob:'], 1) });
});

test('a shared worker: streams write', async () => {
  fs.copyFileSync(path.join(root, 'tests/packaging/shared-worker.js'), path.join(app, 'shared-worker.js'));
  assert.deepEqual(await answerOf(app, `<!doctype html><link rel="icon" href="data:,"><script type="module">
    const { port } = new SharedWorker('/shared-worker.js', { type: 'module' });
    port.onmessage = ({ data }) => { document.title = JSON.stringify(data); };
  </script>`), { canStart: false, filed: [1, 1, 0] });
});

test('Vite', async () => {
  fs.writeFileSync(path.join(app, 'index.html'), '<!doctype html><link rel="icon" href="data:,"><script type="module" src="./app.js"></script>');
  execFileSync(bin('vite'), ['build', '--outDir', 'vite', '--logLevel', 'error'], { cwd: app });
  assert.deepEqual(await answerOf(path.join(app, 'vite')), EXPECTED);
});

test('webpack', async () => {
  execFileSync(bin('webpack'), ['--mode', 'production', '--entry', './app.js', '--output-path', path.join(app, 'webpack')], { cwd: app });
  assert.deepEqual(await answerOf(path.join(app, 'webpack'), '<!doctype html><link rel="icon" href="data:,"><script src="main.js"></script>'), EXPECTED);
});

test('esbuild, with the .wasm files copied beside the bundle, and then the worker, too', async () => {
  const out = path.join(app, 'esbuild');
  execFileSync(bin('esbuild'), ['app.js', '--bundle', '--format=esm', '--splitting', `--outdir=${out}`, '--log-level=error'], { cwd: app });
  for (const name of ['tfpersist_bg.wasm', 'tfpersist_transfers_bg.wasm']) fs.copyFileSync(path.join(app, 'node_modules/tfpersist', name), path.join(out, name));
  const html = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="app.js"></script>';
  assert.deepEqual(await answerOf(out, html), { ...EXPECTED, filed: filed(['http:', 'blob:']) }, 'without it, it starts from its text');
  fs.copyFileSync(path.join(app, 'node_modules/tfpersist/worker.js'), path.join(out, 'worker.js'));
  assert.deepEqual(await answerOf(out, html), EXPECTED);
});

test('service workers: all.js does everything there, index.js only the stores of TF.js', async () => {
  const source = fs.readFileSync(path.join(root, 'tests/packaging/service-worker.js'), 'utf8');
  for (const [entry, expected] of [['all.js', { saved: true, filed: [1, 0, 1], loaded: { b: 3 } }], ['index.js', { saved: true, error: 'NetworkError,ERR_NETWORK,TypeError' }]]) {
    fs.writeFileSync(path.join(app, `sw-${entry}`), source.replace('ENTRY', `/node_modules/tfpersist/${entry}`));
    const outcome = await answerOf(app, `<!doctype html><link rel="icon" href="data:,"><script type="module">
      navigator.serviceWorker.onmessage = ({ data }) => { document.title = JSON.stringify(data); };
      await navigator.serviceWorker.register('/sw-${entry}', { type: 'module' });
      (await navigator.serviceWorker.ready).active.postMessage('go');
    </script>`);
    assert.deepEqual(outcome, expected, entry);
  }
});

test('publint finds nothing', () => {
  execFileSync(bin('publint'), [path.join(app, 'node_modules/tfpersist'), '--strict'], { stdio: 'pipe' });
});
