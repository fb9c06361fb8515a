// The rounds of `file://`: a child process works on folders, is killed, and this process looks.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { plain, print } from '../lib/artifacts.mjs';
import { folder, names, PACKAGE } from '../lib/node.mjs';

const { listModels, load, save } = await import(PACKAGE);
const CHILD = fileURLToPath(new URL('child.mjs', import.meta.url));
const HOURS = 2 * 60 * 60; // seconds: older than anything that may still be under way

const real = (url, at) => url.replace('{folder}', at);

/** Does the work hours later: of a file's dates one can be set by nobody. */
async function later(work) {
  const { now } = Date;
  Date.now = () => now() + HOURS * 1000;
  try {
    return await work();
  } finally {
    Date.now = now;
  }
}

export class InFolders {
  #at = folder();
  #children = new Set();

  constructor(signals, durations) {
    Object.assign(this, { signals, durations });
    process.once('exit', () => this.#children.forEach((child) => child.kill('SIGKILL')));
  }

  async #prepare({ old }) {
    for (const name of names(this.#at)) fs.rmSync(path.join(this.#at, name), { recursive: true });
    for (const [url, model] of Object.entries(old)) await save(plain(...model), real(url, this.#at));
  }

  async #interrupt(round) {
    const { heard } = this.signals.expect(round.id);
    const delay = this.durations.delay(round);
    const { verb, models, options } = round;
    const job = { verb, urls: round.urls.map((url) => real(url, this.#at)), models, options };
    const child = spawn(process.execPath, [CHILD, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.add(child);
    child.stdout.setEncoding('utf8').on('data', (lines) => lines.trim().split('\n').forEach((line) => heard.hear(line)));
    const closed = new Promise((resolve) => child.once('close', resolve));
    const died = closed.then(() => Promise.reject(new Error('the child ended by itself')));
    await Promise.race([delay === 'after' ? heard.ended : heard.began.then(() => sleep(delay)), died]);
    died.catch(() => {}); // by our hand
    child.kill('SIGKILL');
    await closed;
    this.#children.delete(child);
    return { outcome: heard.outcome, took: heard.took, delay };
  }

  async #look(urls) {
    const listing = await listModels(`file://${this.#at}`);
    const rows = {};
    for (const url of new Set([...urls, ...Object.keys(listing)])) {
      const row = { listed: url in listing, damage: listing[url]?.damage?.code };
      await load(url).then(print).then((hash) => { row.hash = hash; }, (error) => { row.error = `${error.code}: ${error.message}`; });
      rows[url.replace(this.#at, '{folder}')] = row;
    }
    return rows;
  }

  /** What remains that is nobody's, after everything has got old and one more model was saved to each of the folders. */
  async #orphans(round) {
    const left = [];
    const folders = new Set(round.urls.map((url) => real(url, this.#at).slice('file://'.length)));
    for (const at of [...folders].filter((name) => fs.existsSync(name))) {
      await later(() => save(plain('sweeper', 5, 400), `file://${at}`));
      const json = JSON.parse(fs.readFileSync(path.join(at, 'model.json'), 'utf8'));
      const named = json.weightsManifest.flatMap((group) => group.paths);
      left.push(...names(at).filter((name) => name !== 'model.json' && !named.includes(name)).map((name) => `${path.basename(at)}/${name}`));
    }
    return left;
  }

  async run(round) {
    await this.#prepare(round);
    const heard = await this.#interrupt(round);
    const urls = Object.keys({ ...round.old, ...round.new }).map((url) => real(url, this.#at));
    const rows = await this.#look(urls);
    return { ...heard, rows, orphans: await this.#orphans(round) };
  }

  settle() {} // each round begins with empty folders

  reset() {}

  close() {
    fs.rmSync(this.#at, { recursive: true, force: true });
  }
}
