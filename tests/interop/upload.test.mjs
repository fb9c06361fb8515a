// Saves by HTTP: as TF.js sends them, to a real Flask server that makes a Keras model of them; and as files of their own.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { dropper, upload } from '../lib/counterparts.mjs';
import { publishPlain } from '../lib/published.mjs';
import { open } from '../lib/suite.mjs';

let page, flask, files;
before(async () => {
  [page, flask, files] = await Promise.all([open(), upload(), dropper()]);
});

/** Trains a model of that kind in the page, saves it, and gives the server's answer and what TF.js predicts. */
const sent = (kind, url, options) => page.evaluate(async ({ kind, url, options }) => {
  const { save } = await T.library('tfpersist');
  const model = await T.build(kind);
  const inputs = T.numbers(5, 8);
  const asked = `${url}${kind === 'sequential' ? `?inputs=${encodeURIComponent(JSON.stringify([[...inputs.slice(0, 4)], [...inputs.slice(4)]]))}` : ''}`;
  const { modelArtifactsInfo, responses } = await save(model, asked, options);
  const predictions = kind === 'sequential' ? await model.predict(tf.tensor(inputs, [2, 4])).array() : null;
  return { info: modelArtifactsInfo.weightDataBytes, status: responses.map((r) => r.status), answer: await responses[0].json(), predictions };
}, { kind, url, options });

test('the upload is what TF.js sends, and Keras makes a model of it that predicts the same', async () => {
  const { info, status, answer, predictions } = await sent('sequential', `${flask.url}/upload`);
  assert.deepEqual(status, [200]);
  assert.match(answer.summary, /Total params: 67/);
  for (const [i, row] of answer.predictions.entries()) {
    for (const [j, y] of row.entries()) assert.ok(Math.abs(y - predictions[i][j]) < 1e-6, `${y} is not ${predictions[i][j]}`);
  }
  const theirs = await page.evaluate(async (url) => {
    const model = await T.build('sequential');
    const caught = await new Promise((resolve) => { model.save(tf.io.withSaveHandler(async (artifacts) => { resolve(artifacts); return {}; })); });
    const tell = async (save) => (await (await save(caught)).responses[0].json());
    const { save } = await T.library('tfpersist');
    return [await tell((artifacts) => save(artifacts, url)), await tell((artifacts) => tf.io.browserHTTPRequest(url).save(artifacts))];
  }, `${flask.url}/upload`);
  assert.deepEqual(theirs[0], theirs[1]);
  assert.deepEqual(theirs[0].parts.map(({ field, filename, type }) => [field, filename, type]), [
    ['model.json', 'model.json', 'application/json'],
    ['model.weights.bin', 'model.weights.bin', 'application/octet-stream'],
  ]);
  assert.equal(theirs[0].parts[1].bytes, info);
});

test('a convolutional model with normalisation arrives in Keras, too, each weight at its place', async () => {
  const { answer, predictions } = await page.evaluate(async (url) => {
    const { save } = await T.library('tfpersist');
    const model = await T.build('cnn');
    const inputs = tf.tensor(T.numbers(6, 2 * 72), [2, 6, 6, 2]);
    const asked = `${url}?inputs=${encodeURIComponent(JSON.stringify(await inputs.array()))}`;
    const { responses } = await save(model, asked);
    return { answer: await responses[0].json(), predictions: await model.predict(inputs).array() };
  }, `${flask.url}/upload`);
  assert.match(answer.summary, /batch_norm/i);
  assert.equal(answer.predictions.length, 2);
  for (const [i, row] of answer.predictions.entries()) {
    for (const [j, y] of row.entries()) assert.ok(Math.abs(y - predictions[i][j]) < 1e-6, `${y} is not ${predictions[i][j]}`);
  }
});

test('PUT, headers and cookies, bare as in the tutorial or as requestInit; the token opens the door', async () => {
  const bare = await sent('sequential', `${flask.url}/echo`, { method: 'PUT', headers: { 'X-Key': 'v' } });
  assert.deepEqual([bare.answer.method, bare.answer.headers], ['PUT', { 'X-Key': 'v' }]);
  const init = await sent('sequential', `${flask.url}/guarded`, { requestInit: { method: 'PUT', headers: { Authorization: 'Bearer let-me-in' } } });
  assert.equal(init.answer.method, 'PUT');
  const fields = await sent('sequential', `${flask.url}/echo`, { fieldNames: { modelJSON: 'json', weights: 'weights' } });
  assert.deepEqual(fields.answer.parts.map((part) => [part.field, part.filename]), [['json', 'model.json'], ['weights', 'model.weights.bin']]);
  await page.page.context().addCookies([{ name: 'session', value: 'me', url: flask.url }]);
  assert.deepEqual((await sent('sequential', `${flask.url}/echo`, { credentials: 'include' })).answer.cookies, { session: 'me' });
  assert.deepEqual((await sent('sequential', `${flask.url}/echo`, { credentials: 'omit' })).answer.cookies, {});
});

test('refusals: statuses with what the server says, no server, a body of the caller, an abort', async () => {
  const outcomes = await page.evaluate(async (url) => {
    const { save, browserHTTPRequest } = await T.library('tfpersist');
    const model = T.plain('m', 1, 4000);
    const attempt = async (target, options) => (await T.attempt(() => save(model, target, options))).error;
    const controller = new AbortController();
    setTimeout(() => controller.abort('enough'), 5);
    return {
      unknown: await attempt(`${url}/guarded`),
      broken: await attempt(`${url}/status/500`),
      nobody: await attempt('http://127.0.0.1:9/upload'),
      body: await attempt(browserHTTPRequest(`${url}/echo`, { requestInit: { body: 'mine' } })),
      method: await attempt(`${url}/echo`, { retries: -1 }),
      aborted: await save(T.plain('m', 1, 30e6), `${url}/echo`, { signal: controller.signal }).catch((e) => e),
      untouched: await T.print(model) === await T.print(T.plain('m', 1, 4000)),
    };
  }, flask.url);
  const short = ({ code, url, status, why }) => ({ code, url: url?.replace(flask.url, ''), status, why });
  assert.deepEqual(short(outcomes.unknown), { code: 'ERR_HTTP_STATUS', url: '/guarded', status: 401, why: 'who are you?' });
  assert.deepEqual(short(outcomes.broken), { code: 'ERR_HTTP_STATUS', url: '/status/500', status: 500, why: 'this is what 500 looks like' });
  assert.equal(outcomes.nobody.code, 'ERR_NETWORK');
  assert.equal(outcomes.body.code, 'ERR_INVALID_ARGUMENT');
  assert.equal(outcomes.body.argument, 'options.requestInit.body');
  assert.equal(outcomes.method.code, 'ERR_INVALID_ARGUMENT');
  assert.equal(outcomes.aborted, 'enough');
  assert.ok(outcomes.untouched);
});

/** Saves a model of 1 MB and that name as files; gives the responses' statuses or the error, and the progress. */
const asFiles = (name, url, signed) => page.evaluate(async ({ name, url, signed }) => {
  const { save, browserHTTPRequest, objectStore } = await T.library('tfpersist');
  const rows = [];
  const onProgress = (fraction, { loaded, total, file }) => rows.push([fraction, loaded, total, file?.name]);
  const options = { shardBytes: 300000, retries: 2 };
  const target = signed
    ? objectStore({ ...options, sign: async (file, bytes) => ({ url: `${url}/${file}?signed=${bytes}`, headers: { 'x-signed': 'yes' } }) })
    : browserHTTPRequest(`${url}/model.json`, { ...options, files: true, onProgress });
  const outcome = await T.attempt(async () => (await save(T.plain(name, name.length, 1e6), target)).responses.map((r) => r.status));
  return { ...outcome, rows };
}, { name, url, signed });

for (const signed of [false, true]) {
  test(`${signed ? 'objectStore' : 'files'}: shards first, model.json last; a reader sees all of the old or all of the new`, async () => {
    const folder = signed ? 'signed' : 'files';
    const url = `${files.url}/plain/${folder}`;
    const read = () => page.evaluate(async (json) => T.print(await (await T.library('tfpersist')).load(json)), `${url}/model.json`);
    const print = (name) => page.evaluate(async (n) => T.print(T.plain(n, n.length, 1e6)), name);
    const from = files.log.length;
    const { value, rows } = await asFiles('old', url, signed);
    assert.deepEqual(value, [200, 200, 200, 200, 200]);
    const puts = files.log.slice(from).filter((row) => row.method === 'PUT');
    assert.equal(puts.length, 5);
    assert.equal(puts.at(-1).name, `${folder}/model.json`);
    for (const { name } of puts.slice(0, -1)) assert.match(name, /\/group1-shard\dof4\.[0-9a-f]{16}\.bin$/);
    if (signed) assert.deepEqual(puts.slice(0, -1).map((row) => row.search).sort(), ['?signed=100000', ...Array(3).fill('?signed=300000')]);
    if (!signed) {
      assert.deepEqual(rows.at(-1).slice(0, 1), [1]);
      assert.equal(rows.at(-1)[1], rows.at(-1)[2]);
      assert.ok(rows.every(([fraction], i) => i === 0 || fraction >= rows[i - 1][0]));
    }
    assert.equal(await read(), await print('old'));
    files.failures.set('shard2', 9); // more often than it is tried again
    const before = new Map(files.files);
    const refused = await asFiles('newer', url, signed);
    assert.equal(refused.error.code, 'ERR_HTTP_STATUS');
    for (const [name, content] of before) assert.deepEqual(files.files.get(name), content);
    assert.equal(await read(), await print('old'));
    files.failures.set('shard2', 2); // less often
    assert.deepEqual((await asFiles('newer', url, signed)).value, [200, 200, 200, 200, 200]);
    assert.equal(await read(), await print('newer'));
  });
}

test('from one server to another', async () => {
  const { artifacts, files: published } = publishPlain(900, 400, { folder: 'from/' });
  for (const [path, content] of published) files.files.set(path, content);
  const same = await page.evaluate(async ({ url, artifacts }) => {
    const { copyModel, load, browserHTTPRequest } = await T.library('tfpersist');
    const info = await copyModel(`${url}/from/model.json`, browserHTTPRequest(`${url}/to/`, { files: true, shardBytes: 500 }));
    const a = await T.print(await load(`${url}/from/model.json`));
    return [info.weightDataBytes, a === await T.print(await load(`${url}/to/model.json`))];
  }, { url: `${files.url}/plain`, artifacts: artifacts.weightSpecs });
  assert.deepEqual(same, [900, true]);
});

test('objectStore: a URL as a text, or with headers of its own; a signature that the store does not take', async () => {
  const found = await page.evaluate(async (url) => {
    const { save, load, objectStore } = await T.library('tfpersist');
    const model = T.plain('store', 5, 4000);
    const asked = [];
    const target = (sign, options) => objectStore({ shardBytes: 2000, ...options, sign });
    const text = (signature) => (name, bytes) => { asked.push([name, bytes]); return `${url}/text/${name}?sig=${signature}`; };
    const statuses = (await save(model, target(text('good')))).responses.map((r) => r.status);
    const same = await T.print(await load(`${url}/text/model.json`)) === await T.print(model);
    const tell = async (sign, options) => (await T.attempt(() => save(T.plain('other', 6, 4000), target(sign, options)))).error;
    return {
      statuses, same, asked,
      forbidden: await tell(text('bad')),
      nothing: await tell(() => undefined),
      throws: await tell(() => { throw new RangeError('no key'); }),
      still: await T.print(await load(`${url}/text/model.json`)) === await T.print(model),
      withSearch: (await save(model, target((name) => ({ url: `${url}/object/${name}?sig=good`, method: 'PUT', headers: { 'x-own': '1' } })))).responses.length,
    };
  }, `${files.url}/plain`);
  assert.deepEqual(found.statuses, [200, 200, 200]);
  assert.ok(found.same && found.still);
  assert.equal(found.asked.slice(0, 3).at(-1)[0], 'model.json');
  assert.deepEqual(found.asked.slice(0, 2).map(([, bytes]) => bytes), [2000, 2000]);
  assert.deepEqual([found.forbidden.code, found.forbidden.status, found.forbidden.why], ['ERR_HTTP_STATUS', 403, 'the signature does not match']);
  assert.equal(found.nothing.code, 'ERR_INVALID_ARGUMENT');
  assert.match(found.throws.message, /no key/);
  assert.equal(found.withSearch, 3);
  const own = files.log.filter((row) => row.method === 'PUT' && row.name.startsWith('object/'));
  assert.deepEqual(own.map((row) => [row.own, row.search]), Array(3).fill(['1', '?sig=good']));
});
