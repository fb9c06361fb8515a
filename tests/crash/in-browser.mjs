// The rounds of one browser: on a profile that stays, each prepares, works, is interrupted, and looks.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { replaced, startBrowser } from './browsers.mjs';
import { family, kill } from './processes.mjs';

const LATE = 50; // ms in which what was told before a kill still arrives

export class InBrowser {
  #profile = fs.mkdtempSync(path.join(os.tmpdir(), 'tfpersist-crash-'));
  #browser = null;
  #page = null; // the library whose page is open
  #found = null; // URL -> hash as last seen; null when the origin must be emptied
  #isFlushed = true; // whether all of Local Storage is on the disk

  constructor(engine, server, signals, durations) {
    Object.assign(this, { engine, server, signals, durations });
    process.once('exit', () => this.#forget());
  }

  #url = (lib) => `${this.server.url}/tests/crash/page.html?${lib}`;

  async #open(lib) {
    if (!this.#browser) this.#browser = await startBrowser(this.engine, this.#profile, this.#url(lib));
    else if (this.#page !== lib) await this.#browser.goto(this.#url(lib));
    this.#page = lib;
  }

  /** Engines write Local Storage to the disk some time later, or at their end. */
  async #restart(lib) {
    await this.#browser.close();
    this.#browser = null;
    await this.#open(lib);
    this.#isFlushed = true;
  }

  async #prepare({ lib, old, oldLayout, how, store, target }, hashes) {
    if (this.#page !== null && this.#page !== lib) this.#found = null; // each library in an origin of its own making
    await this.#open(lib);
    const [all, found] = [this.#found === null, this.#found ?? {}];
    const saves = Object.fromEntries(Object.entries(old).filter(([url]) => found[url] !== hashes.old[url]));
    const removes = Object.keys(found).filter((url) => found[url] !== hashes.old[url]);
    await this.#browser.evaluate((job) => T.prepare(job), { all, removes, saves, oldLayout });
    const isLocal = (url) => url.startsWith('localstorage:');
    if (all || [...removes, ...Object.keys(saves)].some(isLocal)) this.#isFlushed = false;
    if (how === 'browser' && !this.#isFlushed) await this.#restart(lib);
    if ([store, target].includes('localstorage')) this.#isFlushed = false;
    this.#found = null; // until it is seen
  }

  /** Runs the work and interrupts it; gives what was heard. */
  async #interrupt(round) {
    const { report, heard } = this.signals.expect(round.id);
    const delay = this.durations.delay(round);
    const { lib, verb, urls, models, options, how } = round;
    const victims = how === 'renderer' ? await this.#browser.renderers() : family(this.#browser.pid);
    const born = await this.#browser.evaluate(() => globalThis.T.born);
    const reload = how === 'reload' ? delay : undefined;
    if (how === 'tab') await this.#browser.spareTab(); // a browser without a tab would end
    await this.#browser.evaluate((job) => T.start(job), { lib, verb, urls, models, options, report, reload });
    if (how === 'reload') await replaced(this.#browser, born);
    else if (how === 'tab') {
      await (delay === 'after' ? heard.ended : heard.began.then(() => sleep(delay)));
      await this.#browser.closeTab(this.#url(lib));
      await sleep(LATE);
    } else {
      await (delay === 'after' ? heard.ended : heard.began.then(() => sleep(delay)));
      await this.#kill(how, victims, lib);
    }
    return { outcome: heard.outcome, took: heard.took, lag: heard.lag, delay };
  }

  async #kill(how, victims, lib) {
    await kill(victims);
    await sleep(LATE);
    if (how === 'renderer') return this.#browser.reopen(this.#url(lib));
    await this.#browser.abandon();
    this.#browser = null;
    this.#isFlushed = true; // what there is now, is what was on the disk
    return this.#open(lib);
  }

  /** What the round was like, and what is to be seen afterwards. */
  async run(round, hashes) {
    await this.#prepare(round, hashes);
    const heard = await this.#interrupt(round);
    const urls = Object.keys({ ...round.old, ...round.new });
    if (round.isFresh && round.how !== 'browser') await this.#restart(round.lib);
    const rows = await this.#browser.evaluate((job) => T.look(job), { lib: round.lib, urls });
    const orphans = round.isSharded ? await this.#browser.evaluate(() => T.orphans()) : [];
    return { ...heard, rows, orphans };
  }

  /** The state that the next round finds, when it can be gone on from. */
  settle(states) {
    this.#found = states;
  }

  /** After a round that failed in the driver itself: a fresh browser. */
  async reset() {
    if (this.#browser) {
      await kill(family(this.#browser.pid));
      await this.#browser.abandon();
    }
    [this.#browser, this.#found] = [null, null];
  }

  async close() {
    await this.#browser?.close();
    this.#forget();
  }

  #forget() {
    fs.rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}
