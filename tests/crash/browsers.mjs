// The two browsers behind one face: on a profile that stays, with processes that can be killed.
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as chromium from '../lib/chromium.mjs';
import { session } from '../lib/webdriver.mjs';
import { family } from './processes.mjs';

async function startChromium(profile, url) {
  const context = await chromium.launchPersistent(profile);
  let page, crashed, spare;
  const open = async (fresh, where) => {
    page = fresh;
    crashed = page.waitForEvent('crash', { timeout: 0 }).catch(() => {}); // it is closed instead
    await chromium.open(page, where);
  };
  await open(context.pages()[0] ?? await context.newPage(), url);
  const { id } = (await chromium.processes(context)).find((p) => p.type === 'browser');
  return {
    pid: id,
    evaluate: (work, argument) => page.evaluate(work, argument),
    async goto(where) {
      await page.goto(where);
      await page.waitForFunction('globalThis.T');
    },
    async renderers() {
      const ids = (await chromium.processes(context)).filter((p) => p.type === 'renderer').map((p) => p.id);
      return family(id).filter(({ pid }) => ids.includes(pid));
    },
    /** Another page in the place of the one whose renderer is dead. */
    async reopen(where) {
      const dead = page;
      await crashed;
      // The spare process that it first gets may have been among the killed ones.
      const fresh = await context.newPage().catch(() => context.newPage());
      await open(fresh, where);
      await dead.close();
    },
    async spareTab() {
      spare = await context.newPage();
      await page.bringToFront();
    },
    /** Closes the tab in the middle of whatever it does, and goes on in the spare one. */
    async closeTab(where) {
      await page.close();
      await open(spare, where);
    },
    close: () => context.close(),
    /** After the browser was killed. */
    abandon: () => context.close().catch(() => {}),
  };
}

const FIREFOX = fileURLToPath(new URL('firefox.sh', import.meta.url));
const PREFS = {
  'browser.sessionstore.resume_from_crash': false,
  'browser.tabs.crashReporting.sendReport': false,
  'toolkit.startup.max_resumed_crashes': -1, // or it asks for safe mode after three kills
};

async function startFirefox(profile, url) {
  const firefox = await session('firefox', url, { profile, prefs: PREFS, binary: FIREFOX });
  return {
    ...firefox,
    renderers: async () => family(firefox.pid).filter(({ args }) => args.includes('-contentproc') && args.at(-1) === 'tab'),
  };
}

const START = { chromium: startChromium, firefox: startFirefox };

/** A browser with the page `url` in it. */
export const startBrowser = (engine, profile, url) => START[engine](profile, url);

/** Waits until the page that was there (`born` then) has been replaced by a new one. */
export async function replaced(browser, born) {
  for (let i = 0; i < 1200; i++) {
    const now = await browser.evaluate(() => globalThis.T?.born).catch(() => undefined); // it may be between two documents
    if (now !== undefined && now !== born) return;
    await sleep(20);
  }
  throw new Error('the page was not reloaded');
}
