// The option `cache`, against real servers: nothing is fetched twice, nothing is older than the server's, nothing is half.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startDropper } from '../counterparts/dropper.mjs';
import { startNginx } from '../counterparts/nginx.mjs';
import { print } from '../lib/artifacts.mjs';
import { newFolder } from '../lib/disk.mjs';
import { publish, publishPlain } from '../lib/published.mjs';
import { open } from '../lib/suite.mjs';

const DAY = 24 * 3600;
let page, folder, server;
before(async () => {
  folder = newFolder();
  [page, server] = await Promise.all([open(), startNginx(folder)]);
});
after(() => server?.close());

/** Writes the model's files, as old as that, in days. */
function write(name, files, days) {
  const time = Math.floor(Date.now() / 1000) - days * DAY;
  fs.mkdirSync(path.join(folder, name), { recursive: true });
  for (const [file, content] of files) {
    fs.writeFileSync(path.join(folder, name, file), content);
    fs.utimesSync(path.join(folder, name, file), time, time);
  }
}
/** Other weights of the same length. */
const altered = ({ weightData, ...rest }) => ({ ...rest, weightData: Uint8Array.from(new Uint8Array(weightData), (b) => b ^ 1).buffer });

const load = (url, cache, options) => page.evaluate(async ({ url, cache, options }) => {
  const { load } = await T.library('tfpersist');
  const fractions = [];
  const onProgress = (fraction) => fractions.push(fraction);
  const outcome = await T.attempt(async () => T.print(await load(url, { ...options, cache, onProgress })));
  return { ...outcome, fractions };
}, { url, cache, options });
const listed = () => page.evaluate(async () => Object.keys(await (await T.library('tfpersist')).listModels()));

/** What nginx sent for the weights since the row `from`. */
async function weightsSince(from) {
  const rows = (await server.log()).slice(from).filter((row) => row.uri.endsWith('.bin'));
  return { bytes: rows.reduce((sum, row) => sum + row.bytes, 0), methods: [...new Set(rows.map((row) => row.method))].sort() };
}

for (const mood of ['plain', 'open', 'open-gzip', 'gzip', 'bare']) {
  test(`${mood}: the second load fetches no weights`, async () => {
    const { artifacts, files } = publishPlain(40000, 10000);
    write(`twice-${mood}`, files, 0); // too new for a browser to keep without asking: the server hears of the second load
    const [url, cache] = [`${server.url}/${mood}/twice-${mood}/model.json`, `indexeddb://twice-${mood}`];
    const first = await load(url, cache);
    assert.equal(first.value, await print(artifacts));
    const from = (await server.log()).length;
    const { value, fractions } = await load(url, cache);
    assert.equal(value, await print(artifacts));
    const again = await weightsSince(from);
    assert.equal(again.bytes, 0, 'weights were sent again');
    assert.deepEqual(again.methods, mood === 'bare' ? [] : ['HEAD']); // without validators model.json alone must do
    assert.equal(fractions.at(-1), 1);
    assert.ok(fractions.every((f, i) => i === 0 || f >= fractions[i - 1]));
  });
}

// A browser's own cache takes a file that was old when it came for fresh, for a tenth of its age, when the server says nothing.
for (const [mood, age] of [['plain', 0], ['plain', 300], ['open', 300], ['no-store', 300]]) {
  test(`${mood}: weights that change under the same model.json are noticed, also when the first were ${age} days old`, async () => {
    const name = `changes-${mood}-${age}`;
    const { artifacts, files } = publishPlain(40000, 10000);
    write(name, files, age);
    const [url, cache] = [`${server.url}/${mood}/${name}/model.json`, `indexeddb://${name}`];
    assert.equal((await load(url, cache)).value, await print(artifacts));
    const next = altered(artifacts);
    write(name, publish(next, 10000), -1); // (a second's fraction is not in a date)
    assert.equal((await load(url, cache)).value, await print(next), 'the old weights');
    assert.equal((await load(url, cache)).value, await print(next));
  });

  test(`${mood}: a new model.json is noticed, also when the first was ${age} days old`, async () => {
    const name = `json-${mood}-${age}`;
    const { artifacts, files } = publishPlain(40000, 10000);
    write(name, files, age);
    const [url, cache] = [`${server.url}/${mood}/${name}/model.json`, `indexeddb://${name}`];
    assert.equal((await load(url, cache)).value, await print(artifacts));
    const next = { ...altered(artifacts), userDefinedMetadata: { version: 2 } };
    write(name, publish(next, 10000), -1);
    assert.equal((await load(url, cache)).value, await print(next));
  });
}

test('a first download that breaks, or is aborted, leaves no entry; the next one makes it', async () => {
  const dropper = await startDropper();
  try {
    const { artifacts, files } = publishPlain(40000, 10000, { folder: 'm/' });
    for (const [name, content] of files) dropper.files.set(name, content);
    const json = `${dropper.url}/plain/m/model.json`;
    dropper.files.set('m/group1-shard3of4.bin', files[3][1].subarray(1));
    assert.equal((await load(json, 'indexeddb://first')).error.code, 'ERR_SIZE_MISMATCH');
    assert.ok(!(await listed()).includes('indexeddb://first'));
    dropper.files.set('m/group1-shard3of4.bin', files[3][1]);
    const aborted = await page.evaluate(async ({ json, stalled }) => {
      const { load } = await T.library('tfpersist');
      const controller = new AbortController();
      setTimeout(() => controller.abort('enough'), 300);
      return load(json, { cache: 'indexeddb://first', signal: controller.signal, weightPathPrefix: stalled }).then(() => 'loaded', (e) => e);
    }, { json, stalled: `${dropper.url}/stall/m/` });
    assert.equal(aborted, 'enough');
    assert.ok(!(await listed()).includes('indexeddb://first'));
    assert.equal((await load(json, 'indexeddb://first')).value, await print(artifacts));
    assert.ok((await listed()).includes('indexeddb://first'));
  } finally {
    dropper.close();
  }
});

test('the server goes away: the entry is served; a server that says no is believed', async () => {
  const dropper = await startDropper();
  const { artifacts, files } = publishPlain(40000, 10000, { folder: 'm/' });
  for (const [name, content] of files) dropper.files.set(name, content);
  const json = `${dropper.url}/plain/m/model.json`;
  assert.equal((await load(json, 'indexeddb://away')).value, await print(artifacts));
  dropper.files.delete('m/model.json');
  assert.deepEqual((({ code, status }) => [code, status])((await load(json, 'indexeddb://away')).error), ['ERR_HTTP_STATUS', 404]);
  dropper.close();
  const { value, fractions } = await load(json, 'indexeddb://away', { retries: 0 });
  assert.equal(value, await print(artifacts));
  assert.equal(fractions.at(-1), 1);
  // An entry of another URL is not that model.
  assert.equal((await load(`${dropper.url}/plain/other/model.json`, 'indexeddb://away', { retries: 0 })).error.code, 'ERR_NETWORK');
});
