// One page in any of the three engines, with the same face. ENGINES="chromium webkit" selects.
import { after } from 'node:test';
import fs from 'node:fs';
import os from 'node:os';
import { serve } from '../../scripts/serve.mjs';
import * as chromium from './chromium.mjs';
import * as webdriver from './webdriver.mjs';

export const ENGINES = (process.env.ENGINES ?? 'chromium firefox webkit').split(' ').filter(Boolean);

const MB = 2 ** 20;

/** How each engine is told that an origin may hold `quota` bytes. */
const QUOTA = {
  firefox: (quota) => ({ prefs: { 'dom.quotaManager.temporaryStorage.fixedLimit': quota / 1024 } }),
  // WebKit wants a share of the volume on which its data lies: the driver's temporary folder.
  webkit(quota) {
    const { blocks, bsize } = fs.statfsSync(os.tmpdir());
    const share = String(quota / (blocks * bsize));
    return { env: { TF_WEBKIT_ORIGIN_RATIO: share, TF_WEBKIT_TOTAL_RATIO: share } };
  },
};

/** A quota for IndexedDB that holds a model of 1 MB, but not one of 3 MB beside it, however the engine counts. */
export const TIGHT = {
  chromium: 3.5 * MB,
  firefox: 6 * MB, // Local Storage counts, too, and the test has 4 MB in it
  webkit: 4 * MB,
};

let serving, launching; // promises: two pages may be opened at once
after(async () => {
  webdriver.endAll();
  await (await launching)?.close();
  (await serving)?.close();
});

/** A page of its own, in an origin without data. What it downloads goes into the folder `downloads`, if one is given. */
export async function openIn(engine, { quota, html = 'bare', downloads } = {}) {
  const url = `${(await (serving ??= serve())).url}/tests/lib/${html}.html`;
  if (engine === 'chromium') {
    const session = await chromium.session(await (launching ??= chromium.launch()), url, { quota });
    if (downloads) {
      const cdp = await session.page.context().newCDPSession(session.page);
      await cdp.send('Page.setDownloadBehavior', { behavior: 'allow', downloadPath: downloads });
    }
    return session;
  }
  return webdriver.session(engine, url, {
    ...(quota === undefined ? {} : QUOTA[engine](quota)),
    ...(downloads === undefined ? {} : { prefs: { 'browser.download.folderList': 2, 'browser.download.dir': downloads } }),
  });
}
