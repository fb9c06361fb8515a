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

/** Serves the folder, opens its page, and gives what the app answers. */
async function answerOf(folder, html) {
  if (html) fs.writeFileSync(path.join(folder, 'index.html'), html);
  const server = http.createServer((request, response) => {
    const file = path.join(folder, request.url === '/' ? 'index.html' : new URL(request.url, 'http://host').pathname);
    if (!fs.existsSync(file)) return response.writeHead(404).end();
    return response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'text/plain' }).end(fs.readFileSync(file));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.waitForFunction('document.title');
    return JSON.parse(await page.title());
  } finally {
    await context.close();
    server.close();
    server.closeAllConnections();
  }
}

/** The small build is fetched first, the other one for the files, and both know of what is in memory. */
const EXPECTED = { first: 1, both: 2, listed: ['indexeddb://packaged', 'memory://shared'], modelTopology: { b: 2 } };

test('no bundler: an import map', async () => {
  const map = (entry) => `<!doctype html><link rel="icon" href="data:,">
    <script type="importmap">{ "imports": { "tfpersist": "/node_modules/tfpersist/${entry}" } }</script><script type="module" src="app.js"></script>`;
  assert.deepEqual(await answerOf(app, map('index.js')), EXPECTED);
  assert.deepEqual(await answerOf(app, map('all.js')), { ...EXPECTED, first: 1, both: 1 }, 'tfpersist/all: one build for everything');
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

test('esbuild, with the .wasm files copied beside the bundle', async () => {
  const out = path.join(app, 'esbuild');
  execFileSync(bin('esbuild'), ['app.js', '--bundle', '--format=esm', '--splitting', `--outdir=${out}`, '--log-level=error'], { cwd: app });
  for (const name of ['tfpersist_bg.wasm', 'tfpersist_transfers_bg.wasm']) fs.copyFileSync(path.join(app, 'node_modules/tfpersist', name), path.join(out, name));
  assert.deepEqual(await answerOf(out, '<!doctype html><link rel="icon" href="data:,"><script type="module" src="app.js"></script>'), EXPECTED);
});

test('service workers: all.js does everything there, index.js only the stores', async () => {
  const source = fs.readFileSync(path.join(root, 'tests/packaging/service-worker.js'), 'utf8');
  for (const [entry, expected] of [['all.js', { saved: true, loaded: { b: 3 } }], ['index.js', { saved: true, error: 'TypeError' }]]) {
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
