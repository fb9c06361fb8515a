// Loads over a network that fails: connections that drop, servers that are busy, aborts, many shards at once; and the cache.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { print } from '../lib/artifacts.mjs';
import { dropper } from '../lib/counterparts.mjs';
import { publish, publishPlain } from '../lib/published.mjs';
import { open } from '../lib/suite.mjs';

const MB = 2 ** 20;
let page, server;
before(async () => {
  [page, server] = await Promise.all([open(), dropper()]);
});

function put(name, bytes, shard) {
  const { artifacts, files } = publishPlain(bytes, shard, { folder: `${name}/` });
  for (const [path, content] of files) server.files.set(path, content);
  return artifacts;
}
const asked = (name, from = 0) => server.log.slice(from).filter((row) => row.name.startsWith(`${name}/`));
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
/**
 * Waits until the server has seen the end of all requests. A response that is abandoned between its headers and its body Chromium drains
 * for up to 5 s, hoping to use the connection again; those of these tests would go on for ever.
 */
async function quiet(name) {
  for (let i = 0; i < 400 && asked(name).some((row) => !row.ended); i++) await sleep(25);
  return asked(name).every((row) => row.ended);
}
/** Loads; gives the fingerprint, or the error. */
const load = (url, options) => page.evaluate(async ({ url, options }) => {
  const { load } = await T.library('tfpersist');
  return T.attempt(async () => T.print(await load(url, options)));
}, { url, options });

test('a wasm that does not come, or is none: the error has a code and a cause, and the next call tries again', async () => {
  const other = await open();
  const list = () => other.evaluate(async () => {
    const { listModels } = await T.library('tfpersist');
    const { error, value } = await T.attempt(() => listModels());
    return error ? [error.name, error.code, error.cause !== undefined] : value;
  });
  const wasm = '**/*_bg.wasm';
  for (const answer of [(route) => route.abort(), (route) => route.fulfill({ status: 404, body: 'Not found' }), (route) => route.fulfill({ body: '<!doctype html>' })]) {
    await other.page.route(wasm, answer);
    assert.deepEqual(await list(), ['NetworkError', 'ERR_NETWORK', true]);
    await other.page.unroute(wasm);
  }
  assert.deepEqual(await list(), {});
});

for (const [shard, what] of [[24 * MB, 'one file'], [10 * MB, 'three shards']]) {
  test(`every connection drops after 1 MB, the server takes Range: 24 MB in ${what} arrive, and little is sent twice`, async () => {
    const name = `drops-${shard}`;
    const artifacts = put(name, 24 * MB, shard);
    assert.deepEqual(await load(`${server.url}/drop/${name}/model.json`, { retries: 2 }), { value: await print(artifacts) });
    assert.ok(await quiet(name));
    const rows = asked(name);
    const sent = rows.reduce((sum, row) => sum + row.bytes, 0);
    const drops = rows.filter((row) => !row.whole).length;
    console.log(`  ${rows.length} requests, ${drops} drops, ${(sent / MB).toFixed(1)} MB sent`);
    assert.ok(drops >= 21, `only ${drops} drops`);
    assert.ok(sent <= (24 + drops) * MB, `${sent} bytes were sent`);
    assert.ok(rows.some((row) => /^bytes=\d+-$/.test(row.range ?? '')));
  });
}

test('without Range a drop is tried again from the start, so often and no more, and then told', async () => {
  put('no-range', 3 * MB, 3 * MB);
  const { error } = await load(`${server.url}/drop-all/no-range/model.json`, { retries: 2 });
  assert.equal(error.code, 'ERR_NETWORK');
  assert.match(error.url, /group1-shard1of1\.bin$/);
  assert.equal(asked('no-range').filter((row) => row.name.endsWith('.bin')).length, 3);
});

test('busy servers are asked again, after the time that they say', async () => {
  const artifacts = put('busy', 1000, 500);
  assert.deepEqual(await load(`${server.url}/busy/busy/model.json`), { value: await print(artifacts) });
  assert.equal(asked('busy').length, 9);
  const refused = await load(`${server.url}/busy/busy/never.json`, { retries: 0 });
  assert.equal(refused.error.code, 'ERR_HTTP_STATUS');
  put('patience', 1000, 1000);
  const started = performance.now();
  assert.ok((await load(`${server.url}/patience/patience/model.json`)).value);
  assert.ok(performance.now() - started > 1900, 'Retry-After: 1, twice');
});

test('40 shards of 1 MB, six at a time and read as they come; fewer when told so', async () => {
  const artifacts = put('many', 40 * MB, MB);
  assert.deepEqual(await load(`${server.url}/plain/many/model.json`), { value: await print(artifacts) });
  const most = await page.evaluate(async (url) => {
    const { load } = await T.library('tfpersist');
    let running = 0, most = 0;
    await load(url, {
      concurrency: 2,
      async fetchFunc(...args) {
        most = Math.max(most, ++running);
        const response = await fetch(...args);
        const bytes = await response.arrayBuffer();
        running -= 1;
        return new Response(bytes, response);
      },
    });
    return most;
  }, `${server.url}/plain/many/model.json`);
  assert.equal(most, 2);
});

test('an abort at any moment rejects with the very reason, and the server sees the requests end', async () => {
  put('abort', 12 * MB, 2 * MB);
  for (const [mood, file, ms] of [['stall', 'model.json', 50], ['plain', 'model.json', 0], ['plain', 'model.json', 15], ['plain', 'model.json', 40]]) {
    const outcome = await page.evaluate(async ({ url, ms }) => {
      const { load } = await T.library('tfpersist');
      const controller = new AbortController();
      const reason = { any: 'value' };
      let at;
      setTimeout(() => { at = performance.now(); controller.abort(reason); }, ms);
      try {
        await load(url, { signal: controller.signal });
        return 'loaded';
      } catch (error) {
        return { same: error === reason, ms: performance.now() - at };
      }
    }, { url: `${server.url}/${mood}/abort/${file}`, ms });
    if (outcome !== 'loaded') assert.ok(outcome.same && outcome.ms < 1000, JSON.stringify(outcome));
    if (mood === 'stall') assert.notEqual(outcome, 'loaded');
    assert.ok(await quiet('abort'), 'a request goes on after the abort');
  }
  // In the middle of the weights, for certain.
  const outcome = await page.evaluate(async ({ json, stalled }) => {
    const { load } = await T.library('tfpersist');
    const controller = new AbortController();
    let seen = 0;
    const onProgress = () => { if (++seen === 3) controller.abort('enough'); };
    const weightUrlConverter = async (path) => (path.includes('3of') ? `${stalled}/${path}` : `${json}/${path}`);
    try {
      await load(`${json}/model.json`, { signal: controller.signal, onProgress, weightUrlConverter });
      return 'loaded';
    } catch (error) {
      return error;
    }
  }, { json: `${server.url}/plain/abort`, stalled: `${server.url}/stall/abort` });
  assert.equal(outcome, 'enough');
  assert.ok(await quiet('abort'));
});

test('the first failure ends the other requests', async () => {
  put('ends', 6 * MB, MB);
  server.files.delete('ends/group1-shard2of6.bin');
  const error = await page.evaluate(async ({ json, stalled }) => {
    const { load } = await T.library('tfpersist');
    const weightUrlConverter = async (path) => (path.includes('2of') ? `${json}/${path}` : `${stalled}/${path}`);
    return (await T.attempt(() => load(`${json}/model.json`, { weightUrlConverter }))).error;
  }, { json: `${server.url}/plain/ends`, stalled: `${server.url}/stall/ends` });
  assert.equal(error.code, 'ERR_HTTP_STATUS');
  assert.ok(await quiet('ends'), 'the stalled requests go on');
});

test('cache: the second load fetches no weights; a changed one is noticed; a broken download leaves no entry; offline it is there', async () => {
  const url = `${server.url}/plain/cached/model.json`;
  const first = put('cached', 4000, 1000);
  const options = { cache: 'indexeddb://cache', retries: 0 };
  const again = async (expected) => {
    const from = server.log.length;
    const outcome = await load(url, options);
    assert.deepEqual(outcome, { value: await print(expected) });
    return asked('cached', from).map((row) => row.method).sort().join(' ');
  };
  assert.equal(await again(first), 'GET GET GET GET GET');
  assert.equal(await again(first), 'GET HEAD HEAD HEAD HEAD');
  const listed = await page.evaluate(async () => Object.keys(await (await T.library('tfpersist')).listModels()));
  assert.deepEqual(listed, ['indexeddb://cache']);
  // The same model JSON, other weights.
  const second = { ...first, weightData: first.weightData.slice() };
  new Uint8Array(second.weightData)[2500] ^= 1;
  new Uint8Array(second.weightData)[2000] ^= 1; // the dropper's ETag is made of the first byte
  for (const [path, content] of publish(second, 1000, { folder: 'cached/' })) server.files.set(path, content);
  assert.equal(await again(second), 'GET GET GET GET GET HEAD HEAD HEAD HEAD');
  // A download that fails keeps the entry.
  const third = { ...first, userDefinedMetadata: { third: true } };
  for (const [path, content] of publish(third, 1000, { folder: 'cached/' })) server.files.set(path, content);
  server.files.set('cached/group1-shard4of4.bin', Buffer.alloc(1));
  assert.equal((await load(url, options)).error.code, 'ERR_SIZE_MISMATCH');
  const kept = await page.evaluate(async () => T.print(await (await T.library('tfpersist')).load('indexeddb://cache')
    .then(({ cachedFrom, ...artifacts }) => artifacts)));
  assert.equal(kept, await print(second));
  // TF.js takes the entry for a model of its own.
  assert.equal(await page.evaluate(async () => (await (await T.library('tf.io')).load('indexeddb://cache')).weightData.byteLength), 4000);
  // Offline.
  const offline = await page.evaluate(async ({ url, options }) => {
    const { load } = await T.library('tfpersist');
    const fetchFunc = () => Promise.reject(new TypeError('Failed to fetch'));
    return T.print(await load(url, { ...options, fetchFunc }));
  }, { url, options });
  assert.equal(offline, await print(second));
  const refused = await load(url, { cache: 'localstorage://cache' });
  assert.equal(refused.error.code, 'ERR_NOT_SUPPORTED');
});
