// Hostile model JSONs through every loader of a page: each resolves with the right thing or rejects with an error of ours, soon, with
// bounded memory; nothing is stored, nothing is polluted, and the library works afterwards. And no path of a manifest sends a request
// to a server that the caller did not name.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startDropper } from '../counterparts/dropper.mjs';
import { CODES, isLarge, JSONS, paths } from '../lib/hostile.mjs';
import { publishPlain } from '../lib/published.mjs';
import { open } from '../lib/suite.mjs';

const MB = 2 ** 20;
/** Milliseconds for a small one and for 100 MB, generous to a busy machine; bytes of wasm memory; of a buffer that is made. */
const BOUNDS = { time: 10_000, largeTime: 60_000, wasm: 64 * MB, largeWasm: 1024 * MB, buffer: 64 * MB };

let page, server, elsewhere;
before(async () => {
  [page, server, elsewhere] = await Promise.all([open({ html: 'bare' }), startDropper(), startDropper()]);
  for (const [name, bytes] of publishPlain(400, 150, { folder: 'good/' }).files) server.files.set(name, bytes);
  server.files.set('case/w.bin', Buffer.alloc(4, 1));
});
after(() => [server, elsewhere].forEach((one) => one?.close()));

/** In the page: all ways of loading the JSON at `url`, what came of each, and what is left afterwards. */
async function attempts({ url, isLarge }) {
  const { load, copyModel, removeModel, listModels } = await T.library('tfpersist');
  const wasm = await (await import('/pkg/tfpersist_transfers.js')).default({ module_or_path: '/pkg/tfpersist_transfers_bg.wasm' });
  const bytes = await (await fetch(url)).arrayBuffer();
  const weights = new Uint8Array(4).fill(1).buffer;
  const file = (part, name) => new File([part], name);
  let value;
  try { value = JSON.parse(new TextDecoder().decode(bytes)); } catch { value = null; }
  const ways = {
    http: () => load(url, { retries: 0 }),
    files: () => load([file(bytes, 'model.json'), file(weights, 'w.bin')]),
    'the JSON alone': () => load([file(bytes, 'model.json')]),
    'bytes in memory': () => load({ modelJSON: bytes, weights }),
    'a value in memory': () => load({ modelJSON: value, weights: [weights] }),
    'a table': () => load({ modelJSON: bytes, weights: { 'w.bin': weights } }),
    'artifacts': () => load({ modelTopology: {}, weightSpecs: value?.weightsManifest?.[0]?.weights, weightData: weights }),
    ...Object.fromEntries(['indexeddb', 'localstorage', 'memory'].map((store) => [`copy to ${store}`, async () => {
      await copyModel(url, `${store}://copy`, { retries: 0 });
      const copy = await load(`${store}://copy`);
      await removeModel(`${store}://copy`);
      return copy;
    }])),
  };
  const own = Object.getOwnPropertyNames(Object.prototype).sort().join();
  const RealBuffer = ArrayBuffer;
  let largest = 0;
  globalThis.ArrayBuffer = new Proxy(RealBuffer, {
    construct(target, args, newTarget) { largest = Math.max(largest, args[0]); return Reflect.construct(target, args, newTarget); },
  });
  const rows = {};
  for (const [way, work] of Object.entries(ways).filter(([way]) => !isLarge || ['http', 'files', 'bytes in memory', 'copy to indexeddb'].includes(way))) {
    const begun = performance.now();
    const outcome = await T.attempt(async () => {
      const artifacts = await work();
      return [artifacts.weightData?.byteLength ?? 'none', Object.getPrototypeOf(artifacts) === Object.prototype];
    }, 120_000);
    const error = outcome.error && { ...outcome.error, message: outcome.error.message.slice(0, 300), length: outcome.error.message.length };
    rows[way] = { ...outcome, error, ms: performance.now() - begun };
  }
  globalThis.ArrayBuffer = RealBuffer;
  return {
    rows, largest, wasm: Object.values(wasm).find((part) => part instanceof WebAssembly.Memory).buffer.byteLength, stored: Object.keys(await listModels()), polluted: Object.getOwnPropertyNames(Object.prototype).sort().join() !== own || 'polluted' in {},
    good: (await load(url.replace('case/', 'good/'), { joined: true })).weightData.byteLength,
  };
}

/** Ways that do not look at the whole: what else may come of them. */
const OTHERWISE = {
  'the JSON alone': ['loads', 'ERR_MANIFEST'], // nobody asks for its weights
  'artifacts': CODES.concat('loads'), // these are only the first group's specs
};

for (const [name, { make, expected }] of Object.entries(JSONS)) {
  test(`${name}: ${expected.join(' or ')}`, async () => {
    const bytes = make();
    server.files.set('case/model.json', bytes);
    if (isLarge(bytes)) await page.reload(); // memory that wasm once had it keeps
    const found = await page.evaluate(attempts, { url: `${server.url}/plain/case/model.json`, isLarge: isLarge(bytes) });
    for (const [way, { value, error, ms }] of Object.entries(found.rows)) {
      const outcome = value ? 'loads' : error.code;
      const said = `${way}: ${JSON.stringify(value ?? error)}`;
      assert.ok(value || (error.isError && CODES.includes(error.code)), `${said} is no error of ours`);
      assert.ok(!error || error.length < 5000, `${said}: a message of ${error?.length} characters`);
      // A store may refuse what it cannot keep: 100 MB, 100,000 levels. A value that is no JSON is a wrong argument.
      const stored = way.startsWith('copy') ? ['ERR_QUOTA_EXCEEDED', 'ERR_INVALID_ARGUMENT', 'ERR_STORAGE', 'ERR_CORRUPT'] : [];
      const allowed = OTHERWISE[way] ?? [...expected, ...stored, ...(way === 'a value in memory' ? ['ERR_INVALID_ARGUMENT', 'ERR_INVALID_URL'] : [])];
      assert.ok(allowed.includes(outcome), said);
      if (value) assert.ok((way === 'the JSON alone' || value[0] === 4 || name.includes('no bytes')) && value[1], said);
      assert.ok(ms < (isLarge(bytes) ? BOUNDS.largeTime : BOUNDS.time), `${way} took ${ms} ms`);
    }
    assert.deepEqual([found.stored, found.polluted, found.good], [[], false, 400]);
    assert.ok(found.wasm <= (isLarge(bytes) ? BOUNDS.largeWasm : BOUNDS.wasm), `${found.wasm} bytes of wasm memory`);
    assert.ok(found.largest <= Math.max(BOUNDS.buffer, bytes.length), `a buffer of ${found.largest} bytes was made`);
  });
}

/** A model whose one weight file has this path. */
const leading = (path) => Buffer.from(JSON.stringify({
  modelTopology: {}, weightsManifest: [{ paths: ['first.bin'], weights: [] }, { paths: [path], weights: [{ name: 'w', shape: [1], dtype: 'float32' }] }],
}));

/** Loads it by each URL and with each prefix by which a path could become another server's; the codes and what they name. */
const loads = (options) => page.evaluate(async ({ url, prefixes, relative }) => {
  const { load } = await T.library('tfpersist');
  const outcomes = [];
  const seen = [];
  const fetchFunc = (to, init) => { seen.push(new URL(to, location.href).host); return fetch(to === relative ? url : to, init); };
  for (const [source, options] of [[url], [relative, { fetchFunc }], ...prefixes.map((weightPathPrefix) => [url, { weightPathPrefix }])]) {
    const { value, error } = await T.attempt(() => load(source, { retries: 0, ...options }));
    outcomes.push({ source, ...options, fetchFunc: undefined, code: value ? 'loads' : error.code, message: error?.message, received: error?.received });
  }
  return { outcomes, seen, here: location.host };
}, options);

test('no path leads to a server that the caller did not name; the error names the path, and no weight file is asked for before', async () => {
  elsewhere.files.set('w.bin', Buffer.alloc(4));
  elsewhere.files.set('', Buffer.alloc(4));
  for (const path of paths(elsewhere.url)) {
    server.files.set('away/model.json', leading(path));
    server.log.length = 0;
    const prefixes = [server.url, `${server.url}/plain/away/`, 'http://', 'http:', '/', ''];
    const { outcomes, seen, here } = await loads({ url: `${server.url}/plain/away/model.json`, relative: 'model.json', prefixes });
    for (const outcome of outcomes) {
      assert.ok(['ERR_MANIFEST', 'ERR_HTTP_STATUS', 'ERR_NETWORK'].includes(outcome.code), JSON.stringify(outcome));
      if (outcome.code === 'ERR_MANIFEST') assert.ok(outcome.received.includes(path) || outcome.received === '"first.bin"', JSON.stringify(outcome));
    }
    // A relative URL has no folder that a path would be put behind: an absolute one would be the whole.
    if (/^[a-z]+:\/\/|^\/\//i.test(path)) assert.equal(outcomes[1].code, 'ERR_MANIFEST', JSON.stringify(outcomes[1]));
    if (outcomes.every(({ code }) => code === 'ERR_MANIFEST')) assert.ok(server.log.every(({ name }) => name === 'away/model.json'));
    assert.ok(seen.every((host) => host === here), `${path}: ${seen}`);
  }
  assert.deepEqual(elsewhere.log, [], 'the other server was asked');
});

test('what the caller allows is done: a prefix on another server, a converter that gives any URL', async () => {
  server.files.set('away/model.json', leading('w.bin'));
  elsewhere.files.set('first.bin', Buffer.alloc(0));
  const found = await page.evaluate(async ({ url, other }) => {
    const { load } = await T.library('tfpersist');
    const options = [{ weightPathPrefix: other }, { weightUrlConverter: (path) => other + path }, { weightUrlConverter: { 'first.bin': `${other}first.bin`, 'w.bin': `${other}w.bin` } }];
    return Promise.all(options.map(async (option) => (await load(url, option)).weightData.byteLength));
  }, { url: `${server.url}/plain/away/model.json`, other: `${elsewhere.url}/plain/` });
  assert.deepEqual(found, [4, 4, 4]);
  assert.ok(elsewhere.log.length >= 6);
});
