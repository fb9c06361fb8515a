// The real counterparts of a test file's models: started once, ended after its last test, each by its own process.
import { spawn } from 'node:child_process';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startDropper } from '../counterparts/dropper.mjs';
import { startNginx } from '../counterparts/nginx.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
export const python = `${root}.venv/bin/python`;

/** Flask, and Keras behind it: `{ url, close }`. It takes some ten seconds to import TensorFlow. */
export async function startUpload() {
  const server = spawn(python, [`${root}tests/counterparts/upload.py`], { stdio: ['ignore', 'pipe', 'ignore'] });
  process.once('exit', () => server.kill('SIGKILL'));
  let text = '';
  for await (const data of server.stdout) {
    text += data;
    if (text.includes('\n')) break;
  }
  if (!text.includes('\n')) throw new Error('the Flask server does not start');
  const close = () => new Promise((resolve) => {
    server.once('close', resolve);
    server.kill();
  });
  return { ...JSON.parse(text.slice(0, text.indexOf('\n'))), close };
}

const begun = new Map();
after(async () => { for (const server of begun.values()) await (await server).close(); });
const once = (name, start) => (...args) => begun.get(name) ?? begun.set(name, start(...args)).get(name);

export const upload = once('upload', startUpload);
export const nginx = once('nginx', startNginx);
export const dropper = once('dropper', startDropper);
