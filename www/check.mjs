// `make demo CHECK=1`: drives the model manager in headless Chromium as a person would, and tells what works.
import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { serve } from '../scripts/serve.mjs';
import { button, field, listed, loadAndCompare, numbers, progress, reload, row, saveAs, says, status, trainModel, transfer } from './person.mjs';

const picture = fileURLToPath(new URL('../target/demo.png', import.meta.url));
const stores = [
  { scheme: 'indexeddb', label: 'IndexedDB' },
  { scheme: 'localstorage', label: 'Local Storage' },
];
const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
const secondsInAll = 55;
let passed = 0;

async function check(what, work) {
  try {
    await work();
  } catch (error) {
    error.message = `${what}: ${error.message}`;
    throw error;
  }
  passed += 1;
  console.log(`ok  ${what}`);
}

// The checks

async function roundTrip(page, here, there) {
  const url = `${here.scheme}://sine`;
  const copy = `${there.scheme}://copy of sine`;
  const moved = `${here.scheme}://moved/sine`;
  let before;
  await check(`${here.label}: a model is trained and saved`, async () => {
    await trainModel(page);
    const loss = Number(/loss (\S+)$/.exec(await page.locator('#origin').textContent())[1]);
    assert.ok(loss < 0.05, `the loss is ${loss}`);
    before = await numbers(page);
    assert.equal(new Set(before).size, 61, 'the predictions are not 61 different numbers');
    await saveAs(page, here.label, 'sine');
    await says(page, `Saved ${url}: `);
    assert.equal(await progress(page), 1, 'the progress bar is not full');
  });
  await check(`${here.label}: the list shows it with size and date`, async () => {
    assert.deepEqual(await listed(page), [url]);
    assert.match(await row(page, url).innerText(), /\d KB\s+weights [\d.]+ KB\s+\w+ \d+, 20\d\d/);
  });
  await check(`${here.label}: after a reload it predicts the same numbers to the last bit`, async () => {
    await reload(page);
    assert.deepEqual(await listed(page), [url]);
    await loadAndCompare(page, url, before, 'Same to the last bit as before the reload.');
  });
  await check(`${here.label}: a copy in ${there.label} predicts the same`, async () => {
    await transfer(page, 'Copy', url, { ...there, name: 'copy of sine' });
    await says(page, `Copied ${url} to ${copy}.`);
    assert.deepEqual(await listed(page), [copy, url].sort());
    await loadAndCompare(page, copy, before, 'Same to the last bit as before the reload.');
  });
  await check(`${here.label}: a move from ${there.label} leaves nothing behind and predicts the same`, async () => {
    await transfer(page, 'Move', copy, { ...here, name: 'moved/sine' });
    await says(page, `Moved ${copy} to ${moved}.`);
    assert.deepEqual(await listed(page), [moved, url].sort());
    await reload(page);
    await loadAndCompare(page, moved, before, 'Same to the last bit as before the reload.');
  });
  return { url, moved, before };
}

async function refusals(page, here, { url, moved }) {
  await check(`${here.label}: a copy onto another model is refused by its code`, async () => {
    await transfer(page, 'Copy', url, { ...here, name: 'moved/sine' });
    await says(page, 'ERR_ALREADY_EXISTS');
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('.panel').count(), 0, 'Escape does not close the panel');
    assert.deepEqual(await listed(page), [moved, url].sort());
  });
  await check(`${here.label}: the page notices a single changed bit`, async () => {
    await page.evaluate((key) => {
      const all = JSON.parse(sessionStorage.getItem('predictions'));
      all[key].bits[30] ^= 1;
      sessionStorage.setItem('predictions', JSON.stringify(all));
    }, moved);
    await button(page, `Load & predict ${moved}`).click();
    await says(page, `Loaded ${moved}. Not the same as before the reload: 1 of 61 predictions differ`);
  });
}

async function numbersOf(page, url) {
  await button(page, `Load & predict ${url}`).click();
  await says(page, `Loaded ${url}.`);
  return numbers(page);
}

async function quota(page) {
  await check('Local Storage: a model that is too large is refused, and the one before is still there', async () => {
    const url = 'localstorage://sine';
    const before = await numbersOf(page, url);
    await trainModel(page, 'Large');
    await saveAs(page, 'Local Storage', 'sine');
    await says(page, 'ERR_QUOTA_EXCEEDED');
    assert.equal(await progress(page), 0, 'the bar shows progress of a failure');
    assert.deepEqual(await numbersOf(page, url), before);
  });
}

async function elsewhere(page, { url, before }) {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), 'tfpersist-demo-'));
  const files = [];
  const keep = async (download) => {
    files.push(path.join(folder, download.suggestedFilename()));
    await download.saveAs(files.at(-1));
  };
  await check('a download as a zip opens again and predicts the same', async () => {
    const [download] = await Promise.all([page.waitForEvent('download'), button(page, `Download ${url}`).click()]);
    await keep(download);
    await page.locator('#files').setInputFiles(files.splice(0));
    await says(page, 'Opened sine.zip.');
    assert.deepEqual(await numbers(page), before);
  });
  await check('the two downloaded files open again, in the wrong order', async () => {
    const both = new Promise((resolve) => {
      const begun = [];
      page.on('download', (download) => { if (begun.push(keep(download)) === 2) resolve(Promise.all(begun)); });
    });
    await saveAs(page, 'Downloads', 'two files');
    await both;
    await says(page, 'Saved downloads://two files: ');
    assert.deepEqual(files.map((file) => path.basename(file)).sort(), ['two files.json', 'two files.weights.bin']);
    await page.locator('#files').setInputFiles(files.sort().reverse());
    await says(page, 'Opened two files.weights.bin, two files.json.');
    assert.deepEqual(await numbers(page), before);
  });
  await check('a model opens from a server by its relative URL, and an error says what is wrong', async () => {
    await page.route('**/models/*', (route) => route.fulfill({ path: path.join(folder, decodeURI(path.basename(route.request().url()))) }));
    await field(page, 'textbox', 'URL of a model.json').fill('models/two files.json');
    await field(page, 'textbox', 'URL of a model.json').press('Enter');
    await says(page, 'Opened models/two files.json.');
    assert.deepEqual(await numbers(page), before);
    await page.locator('#files').setInputFiles(files.filter((file) => file.endsWith('.bin')));
    await says(page, 'ERR_MANIFEST');
  });
  await fs.rm(folder, { recursive: true });
}

async function removeAll(page, here, urls) {
  await check(`${here.label}: what is removed is gone, also after a reload`, async () => {
    for (const url of urls) {
      await button(page, `Remove ${url}`).click();
      await button(field(page, 'form', `Remove ${url}`), 'Remove it').click();
      await says(page, `Removed ${url}.`);
      assert.ok(!(await listed(page)).includes(url), `${url} is still in the list`);
    }
    await reload(page);
    assert.ok(await page.getByText('Nothing is stored yet.').isVisible());
  });
}

async function tabs(page, address, { url }) {
  await check('a second tab shows what this one saves and removes, without a reload', async () => {
    const other = await page.context().newPage();
    await other.goto(address);
    await says(other, 'Ready.');
    await saveAs(page, 'IndexedDB', 'for the other tab');
    await row(other, 'indexeddb://for the other tab').waitFor();
    await button(other, 'Remove indexeddb://for the other tab').click();
    await button(field(other, 'form', 'Remove indexeddb://for the other tab'), 'Remove it').click();
    await row(page, 'indexeddb://for the other tab').waitFor({ state: 'detached' });
    await other.close();
  });
  await check('a check says that all is there, and of a damaged record what is not', async () => {
    await button(page, `Check ${url}`).click();
    await says(page, `Checked ${url}: all `);
    await page.evaluate(cutWeights, url.replace('indexeddb://', ''));
    await button(page, `Check ${url}`).click();
    await says(page, 'ERR_CORRUPT');
    assert.match(await status(page).textContent(), /weightData: expected \d+ bytes, found 4 bytes/);
    await saveAs(page, 'IndexedDB', 'sine');
    await says(page, `Saved ${url}: `);
  });
  await check('the page tells how much room is used', async () => {
    assert.match(await page.locator('#room').innerText(), /^[\d.]+ (bytes|KB|MB) used of [\d.]+ (MB|GB)\. The browser/);
  });
}

/** In the page: leaves 4 bytes of a stored model's weights. */
function cutWeights(path) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open('tensorflowjs');
    opening.onerror = reject;
    opening.onsuccess = () => {
      const tx = opening.result.transaction('models_store', 'readwrite');
      const reading = tx.objectStore('models_store').get(path);
      reading.onsuccess = () => {
        reading.result.modelArtifacts.weightData = new ArrayBuffer(4);
        tx.objectStore('models_store').put(reading.result);
      };
      tx.oncomplete = () => { opening.result.close(); resolve(); };
      tx.onabort = reject;
    };
  });
}

async function phone(page) {
  await check('the page fits a phone', async () => {
    const size = page.viewportSize();
    await page.setViewportSize({ width: 380, height: 800 });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `it is ${over} px too wide`);
    await page.setViewportSize(size);
  });
}

async function photograph(page) {
  await fs.mkdir(path.dirname(picture), { recursive: true });
  const { width, height } = page.viewportSize();
  await page.setViewportSize({ width, height: await page.evaluate(() => document.documentElement.scrollHeight) });
  await page.screenshot({ path: picture });
  await page.setViewportSize({ width, height });
}

/** Everything that the browser complains about. */
function listen(page, troubles) {
  page.on('pageerror', (error) => troubles.push(`page error: ${error.stack ?? error}`));
  page.on('console', (message) => { if (message.type() === 'error') troubles.push(`console: ${message.text()}`); });
  page.on('response', (answer) => { if (answer.status() >= 400) troubles.push(`${answer.status()} ${answer.url()}`); });
}

async function drive(page, address, troubles) {
  listen(page, troubles);
  page.setDefaultTimeout(10_000);
  await page.goto(address);
  await check('the page starts, with nothing stored', async () => {
    await says(page, 'Ready.');
    assert.deepEqual(await listed(page), []);
  });
  for (const [i, here] of stores.entries()) {
    const models = await roundTrip(page, here, stores[(i + 1) % stores.length]);
    if (here.scheme === 'localstorage') await photograph(page);
    await refusals(page, here, models);
    if (i === 0) await tabs(page, address, models);
    if (i === 0) await elsewhere(page, models);
    if (here.scheme === 'localstorage') await quota(page);
    if (i === 0) await phone(page);
    await removeAll(page, here, [models.url, models.moved]);
  }
  await check('no error in the page or its console', () => assert.deepEqual(troubles, []));
}

const profile = await fs.mkdtemp(path.join(os.tmpdir(), 'tfpersist-demo-'));
const troubles = [];
let server, browser, timer;
try {
  server = await serve(0);
  browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    headless: true,
    args: flags,
    viewport: { width: 1100, height: 800 },
  });
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${secondsInAll} s`)), secondsInAll * 1000);
  });
  await Promise.race([drive(browser.pages()[0], server.url, troubles), late]);
  console.log(`screenshot: ${path.relative(process.cwd(), picture)}`);
  console.log(`demo: ${passed} checks passed`);
} catch (error) {
  console.error(`FAILED  ${error.message}`);
  for (const trouble of troubles) console.error(`        ${trouble}`);
  console.error(`demo: failed after ${passed} checks passed`);
  process.exitCode = 1;
} finally {
  clearTimeout(timer);
  await browser?.close().catch(() => {});
  server?.close();
  await fs.rm(profile, { recursive: true, force: true, maxRetries: 5 });
}
