// Chromium through playwright-core, with the browser of the system.
import { chromium } from 'playwright-core';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const args = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** `more` arguments of the browser's. */
export const launch = (...more) => chromium.launch({ executablePath, args: [...args, ...more] });

/** A browser whose data stays in the folder `profile`. */
export const launchPersistent = (profile, ...more) => chromium.launchPersistentContext(profile, { executablePath, args: [...args, ...more] });

/** The processes of the browser of a persistent context: `[{ type: 'browser' | 'renderer' | ..., id }]`. */
export async function processes(context) {
  const cdp = await context.browser().newBrowserCDPSession();
  const { processInfo } = await cdp.send('SystemInfo.getProcessInfo');
  await cdp.detach();
  return processInfo;
}

/**
 * Ends what Playwright's own session has each page do for its requests: DevTools keep copies of the answers in the page's process, up to
 * 200 MB of them, and a fetch takes twice as long. There is no public way.
 */
export async function unwatched(page) {
  const session = page._connection?.toImpl?.(page)?.delegate?._mainFrameSession?._client;
  if (!session) throw new Error('playwright-core has changed: how is its own session found now?');
  await session.send('Network.disable');
}

/** Waits until `page` runs lib/page.mjs, and hears of what goes wrong in it. */
export async function open(page, url) {
  page.on('pageerror', (error) => console.log(`  page error: ${error.message}`));
  await page.goto(url);
  await page.waitForFunction('globalThis.T');
}

/**
 * A page in an origin without data. `quota` (bytes) needs the incognito context that `newContext` makes, and must
 * be set before the origin's first write.
 */
export async function session(browser, url, { quota } = {}) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true }); // the tests' own server is one that nobody vouches for
  const page = await context.newPage();
  await open(page, url);
  if (quota !== undefined) {
    const cdp = await context.newCDPSession(page);
    await cdp.send('Storage.overrideQuotaForOrigin', { origin: new URL(url).origin, quotaSize: quota });
  }
  return {
    page,
    /** Another tab of the same origin. */
    async another() {
      const tab = await context.newPage();
      await open(tab, url);
      return { page: tab, evaluate: (work, argument) => tab.evaluate(work, argument) };
    },
    evaluate: (work, argument) => page.evaluate(work, argument),
    /** Chooses files in the file input that the selector finds, as a person would. */
    choose: (selector, paths) => page.setInputFiles(selector, paths),
    async reload() {
      await page.reload();
      await page.waitForFunction('globalThis.T');
    },
    close: () => context.close(),
  };
}
