// A browser and a server around the tests of a file that need Chromium.
import { after } from 'node:test';
import { serve } from '../../scripts/serve.mjs';
import { launch, session } from './chromium.mjs';

/** `LIB=tf.io` runs the drivers on TF.js itself: what then fails for another reason than TF.js's faults is the test's. */
export const LIB = process.env.LIB ?? 'tfpersist';

let started;

async function start() {
  const server = await serve();
  const browser = await launch();
  return { server, browser };
}

after(async () => {
  const { server, browser } = await (started ?? {});
  await browser?.close();
  server?.close();
});

/** A page in an origin without data. `html: 'bare'` is one without TF.js; `quota` is for IndexedDB, in bytes. */
export async function open({ html = 'page', ...options } = {}) {
  const { server, browser } = await (started ??= start());
  return session(browser, `${server.url}/tests/lib/${html}.html`, options);
}

/** The dump without what must differ: dates, and our one extra field in Local Storage's info. */
export function comparable({ local, databases }, { extra = [] } = {}) {
  const strings = structuredClone(local);
  const extras = [];
  for (const key of Object.keys(strings).filter((k) => k.startsWith('tensorflowjs_models/') && k.endsWith('/info'))) {
    const { dateSaved, ...info } = JSON.parse(strings[key]);
    if (new Date(dateSaved).toISOString() !== dateSaved) throw new Error(`${key} has the date ${dateSaved}`);
    extras.push(Object.keys(info).filter((field) => extra.includes(field)));
    for (const field of extra) delete info[field];
    strings[key] = JSON.stringify({ dateSaved: 'some date', ...info });
  }
  const text = JSON.stringify(databases).replaceAll(/"dateSaved":\{"\$date":"[^"]*"\}/g, '"dateSaved":"some date"');
  return { stored: { local: strings, databases: JSON.parse(text) }, extras };
}
