// Downloads that break off: gone on with only when the rest is certain to belong to the beginning, begun again otherwise.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { print } from '../lib/artifacts.mjs';
import { dropper } from '../lib/counterparts.mjs';
import { publishPlain } from '../lib/published.mjs';
import { open } from '../lib/suite.mjs';

const MB = 2 ** 20;
let page, server;
before(async () => {
  [page, server] = await Promise.all([open(), dropper()]);
});

/** Puts a model of one weight file on the server. */
function put(name, bytes) {
  const { artifacts, files } = publishPlain(bytes, bytes, { folder: `${name}/` });
  for (const [path, content] of files) server.files.set(path, content);
  return artifacts;
}
const weightsOf = (name) => server.log.filter((row) => row.name === `${name}/group1-shard1of1.bin`);

/** Loads a model whose JSON comes at once, and its weights in that mood; gives the fingerprint, or the error, and the progress. */
const load = (name, mood, options) => page.evaluate(async ({ base, name, mood, options }) => {
  const { load } = await T.library('tfpersist');
  const rows = [];
  const onProgress = (fraction, { loaded, total, file }) => rows.push([fraction, loaded, total, file?.loaded]);
  const outcome = await T.attempt(async () => (
    T.print(await load(`${base}/plain/${name}/model.json`, { ...options, weightPathPrefix: `${base}/${mood}/${name}/`, onProgress }))));
  return { ...outcome, rows };
}, { base: server.url, name, mood, options });

/** That progress never fell, on the way from 0 to exactly 1, over whatever broke. */
function checkProgress(rows, name) {
  const bytes = server.files.get(`${name}/model.json`).length + server.files.get(`${name}/group1-shard1of1.bin`).length;
  for (const [i, [fraction, loaded]] of rows.entries()) {
    if (i > 0) assert.ok(fraction >= rows[i - 1][0] && loaded >= rows[i - 1][1], `row ${i} falls: ${rows[i - 1]} -> ${rows[i]}`);
    assert.ok(fraction <= 1 && loaded <= bytes, `row ${i} is more than all: ${rows[i]}`);
  }
  assert.deepEqual(rows.at(-1).slice(0, 3), [1, bytes, bytes]);
  assert.equal(rows.filter(([fraction]) => fraction === 1).length, 1);
}

/** The model as it is when the server has the second version of its weights. */
const second = (artifacts) => ({ ...artifacts, weightData: new Uint8Array(artifacts.weightData.byteLength).fill(7).buffer });

test('the file is another one after the drop: the new one is fetched, nothing is put together from both', async () => {
  const artifacts = put('changed', 2 * MB);
  const { value, error } = await load('changed', 'changed');
  assert.equal(error, undefined);
  assert.equal(value, await print(second(artifacts)));
  assert.ok(weightsOf('changed').length >= 2);
});

test('the same when the rest of the new one is just as long as the old one: its end is not taken for the weights', async () => {
  put('longer', 2 * MB);
  const { value, error } = await load('longer', 'longer');
  assert.equal(value, undefined, 'the last two thirds of another file were loaded as the weights');
  assert.equal(error.code, 'ERR_SIZE_MISMATCH');
  assert.equal(error.expected, 2 * MB);
  assert.ok(error.received > 2 * MB);
});

for (const mood of ['unversioned', 'weak']) {
  test(`${mood}: what does not tell versions apart for certain is begun again`, async () => {
    const artifacts = put(mood, 2 * MB);
    const { value, error, rows } = await load(mood, mood);
    assert.equal(error, undefined);
    assert.equal(value, await print(second(artifacts)));
    checkProgress(rows, mood);
  });
}

test('a server that breaks off and is then not to be reached for a while: what came first does not count twice', async () => {
  const artifacts = put('out-once', 2 * MB);
  const { value, error, rows } = await load('out-once', 'out-once', { retries: 3 });
  assert.equal(error, undefined);
  assert.equal(value, await print(artifacts));
  assert.equal(weightsOf('out-once').length, 3);
  checkProgress(rows, 'out-once');
});

test('a date will do: each drop costs only what was on its way', async () => {
  const artifacts = put('dated', 5 * MB);
  const { value, rows } = await load('dated', 'dated', { retries: 1 });
  assert.equal(value, await print(artifacts));
  checkProgress(rows, 'dated');
  const resumed = weightsOf('dated').filter((row) => /^bytes=[1-9]/.test(row.range ?? ''));
  assert.ok(resumed.length >= 4, `${resumed.length} requests went on`);
});

test('a server that goes on from somewhere else is not believed, and the file is begun again', async () => {
  const artifacts = put('elsewhere', 2 * MB);
  const { value, error } = await load('elsewhere', 'elsewhere', { retries: 1 });
  assert.equal(error, undefined);
  assert.equal(value, await print(artifacts));
});

test('without Range the file comes again from its start; progress waits until it is new', async () => {
  const artifacts = put('once', 3 * MB);
  const { value, rows } = await load('once', 'once');
  assert.equal(value, await print(artifacts));
  checkProgress(rows, 'once');
  assert.equal(weightsOf('once').length, 2);
});

test('progress goes on over drops', async () => {
  put('drops', 6 * MB);
  const { rows } = await load('drops', 'drop');
  checkProgress(rows, 'drops');
});

test('model.json breaks off, too', async () => {
  const artifacts = put('json', 1000);
  const url = `${server.url}/once/json/model.json`;
  const found = await page.evaluate(async (url) => T.attempt(async () => T.print(await (await T.library('tfpersist')).load(url))), url);
  assert.deepEqual(found, { value: await print(artifacts) });
});

test('an abort while a server has asked for patience rejects at once, and it is not asked again', async () => {
  put('later', 1000);
  const found = await page.evaluate(async ({ base }) => {
    const { load } = await T.library('tfpersist');
    const controller = new AbortController();
    const reason = new Error('mine');
    let at;
    setTimeout(() => { at = performance.now(); controller.abort(reason); }, 300);
    return load(`${base}/later/later/model.json`, { signal: controller.signal })
      .then(() => 'loaded', (error) => ({ same: error === reason, ms: performance.now() - at }));
  }, { base: server.url });
  assert.ok(found.same && found.ms < 1000, JSON.stringify(found));
  assert.equal(server.log.filter((row) => row.mood === 'later').length, 1);
});

test('a server that asks for more than a minute is not waited for', async () => {
  put('tomorrow', 1000);
  const started = performance.now();
  const { error } = await load('tomorrow', 'tomorrow');
  assert.deepEqual([error.code, error.status, error.why], ['ERR_HTTP_STATUS', 503, 'tomorrow']);
  assert.ok(performance.now() - started < 5000);
});

test('a signal that was aborted before sends nothing; the one in requestInit counts, too', async () => {
  put('never', 1000);
  const found = await page.evaluate(async ({ base }) => {
    const { load, browserHTTPRequest } = await T.library('tfpersist');
    const url = `${base}/plain/never/model.json`;
    const tell = (promise) => promise.then(() => 'loaded', (error) => error);
    return [
      await tell(load(url, { signal: AbortSignal.abort('before') })),
      await tell(load(url, { requestInit: { signal: AbortSignal.abort('in requestInit') } })),
      await tell(browserHTTPRequest(url, { signal: AbortSignal.abort('handler') }).load()),
    ];
  }, { base: server.url });
  assert.deepEqual(found, ['before', 'in requestInit', 'handler']);
  assert.equal(server.log.filter((row) => row.name.startsWith('never/')).length, 0);
});
