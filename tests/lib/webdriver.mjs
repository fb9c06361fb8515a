// Firefox and WebKitGTK over plain WebDriver: fetch, and a driver that is started here and ended by its process id.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const cargoBin = path.join(process.env.CARGO_HOME ?? path.join(os.homedir(), '.cargo'), 'bin');

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().on('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** How each driver is started, and what its sessions ask for. */
const DRIVERS = {
  firefox: (port, { prefs = {}, profile, binary = process.env.FIREFOX ?? '/usr/bin/firefox-esr' }) => ({
    command: process.env.GECKODRIVER ?? (fs.existsSync(`${cargoBin}/geckodriver`) ? `${cargoBin}/geckodriver` : 'geckodriver'),
    args: [`--port=${port}`, '--websocket-port=0'],
    capabilities: { alwaysMatch: { 'moz:firefoxOptions': {
      binary, prefs,
      args: ['-headless', ...(profile === undefined ? [] : ['-profile', profile])],
    } } },
  }),
  webkit: (port, { env }) => ({
    command: path.join(root, 'scripts/webkitdriver'), args: [`--port=${port}`], env, capabilities: {},
  }),
};

const living = new Map(); // driver -> its engine

/** Ends what a failed test left running. */
export const endAll = () => [...living.keys()].forEach((driver) => end(driver, 'SIGKILL'));
process.on('exit', endAll);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1)); // a timeout of the runner's

/**
 * The driver, and what it started. webkitdriver tidies up by itself, whatever ends it; geckodriver may leave a Firefox
 * behind when it is killed, so it leads a process group, of which all are ended.
 */
function end(driver, signal) {
  const whom = living.get(driver) === 'firefox' ? -driver.pid : driver.pid;
  living.delete(driver);
  try {
    process.kill(whom, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error; // gone already
  }
}

async function call(base, method, at, body) {
  const response = await fetch(base + at,
    { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`WebDriver ${method} ${at}: ${value.error}: ${value.message}`);
  return value;
}

async function startDriver(engine, options) {
  const port = await freePort();
  const { command, args, env, capabilities } = DRIVERS[engine](port, options);
  const driver = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'ignore', detached: true });
  living.set(driver, engine);
  let failed;
  driver.on('error', (error) => {
    failed = error;
  });
  const base = `http://127.0.0.1:${port}`;
  for (let i = 0; ; i++) {
    const ready = await call(base, 'GET', '/status').then((s) => s.ready, () => false);
    if (ready) return { driver, base, capabilities };
    if (failed || driver.exitCode !== null || i === 300) throw new Error(`${command} does not start`, { cause: failed });
    await sleep(100);
  }
}

/** Commands go to the window that was switched to last. Gives a function that does a work in a window, after the one before. */
function turns(base, at) {
  let [current, before] = [undefined, Promise.resolve()];
  return (handle, work) => {
    const turn = async () => {
      if (handle !== current) await call(base, 'POST', `${at}/window`, { handle });
      current = handle;
      return work();
    };
    before = before.then(turn, turn);
    return before;
  };
}

/** What the tests do in one window. */
function faceOf(handle, inWindow, { base, at, url }) {
  const go = (where, body) => inWindow(handle, () => call(base, 'POST', `${at}/${where}`, body));
  const close = () => inWindow(handle, () => call(base, 'DELETE', `${at}/window`));
  const evaluate = async (work, argument) => {
    const script = `const answer = arguments[arguments.length - 1];
      Promise.resolve((${work})(arguments[0])).then((value) => answer({ value }),
        (error) => answer({ error: error && error.name + ': ' + error.message + '\\n' + error.stack }));`;
    const { value, error } = await go('execute/async', { script, args: [argument ?? null] });
    if (error) throw new Error(`in the page: ${error}`);
    return value ?? undefined;
  };
  const ready = async () => {
    for (let i = 0; !(await evaluate('() => Boolean(globalThis.T)')); i++) {
      if (i === 200) throw new Error(`${url} does not get ready`);
      await sleep(50);
    }
  };
  const visit = async (where, body) => {
    await go(where, body);
    await ready();
  };
  return { close, evaluate, go, visit };
}

/**
 * A session with the same face as that of lib/chromium.mjs. `prefs` are Firefox's, as are `profile`, a folder in which its
 * data stays, and `binary`; `env` is for scripts/webkit-app.py.
 */
export async function session(engine, url, options = {}) {
  const { driver, base, capabilities } = await startDriver(engine, options);
  const { sessionId, capabilities: got } = await call(base, 'POST', '/session', { capabilities });
  const at = `/session/${sessionId}`;
  await call(base, 'POST', `${at}/timeouts`, { script: 120000, pageLoad: 60000 });
  let inWindow = turns(base, at);
  const open = async (handle, where = url) => {
    const face = faceOf(handle, inWindow, { base, at, url: where });
    await face.visit('url', { url: where });
    return face;
  };
  const newWindow = async (type) => (await call(base, 'POST', `${at}/window/new`, { type })).handle;
  let face = await open(await call(base, 'GET', `${at}/window`));
  let spare;
  return {
    evaluate: (work, argument) => face.evaluate(work, argument),
    /** Another window of the same origin. */
    another: async () => open(await newWindow('window')),
    goto: (where) => face.visit('url', { url: where }),
    /** The page in a tab of its own: going on in one whose process was killed may take for ever. */
    async reopen(where) {
      inWindow = turns(base, at);
      face = await open(await newWindow('tab'), where);
    },
    async spareTab() {
      spare = await newWindow('tab');
    },
    /** Closes the tab in the middle of whatever it does, and goes on in the spare one. */
    async closeTab(where) {
      await face.close();
      face = await open(spare, where);
    },
    /** Firefox's own process. */
    pid: got['moz:processID'],
    /** Ends what is left of the driver when the browser was killed. */
    abandon: () => end(driver, 'SIGKILL'),
    /** Chooses files in the file input that the selector finds, as a person would. */
    async choose(selector, paths) {
      const element = await face.go('element', { using: 'css selector', value: selector });
      await face.go(`element/${Object.values(element)[0]}/value`, { text: paths.join('\n') });
    },
    reload: () => face.visit('refresh', {}),
    async close() {
      await call(base, 'DELETE', at).catch((error) => console.log(`  ${engine}: ${error.message}`));
      end(driver, 'SIGTERM');
    },
  };
}
