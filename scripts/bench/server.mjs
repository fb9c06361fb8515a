// What the benchmark's page finds under /bench-server/: models of any size, a place that takes whatever comes, and the package, to be kept by the
// browser's cache. The rest is scripts/serve.mjs.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { serve } from '../serve.mjs';

const pkg = fileURLToPath(new URL('../../pkg/', import.meta.url));
const PIECE = 2 ** 20;
const STEP = 64 * 1024;
const base = randomBytes(PIECE);
const BINARY = { 'content-type': 'application/octet-stream', 'cache-control': 'no-cache' };

/** Bytes `from` to `to` of the model of that run: no two pieces of 64 KB are the same. */
function piece(run, from, to) {
  const bytes = Buffer.from(base.subarray(0, to - from));
  for (let at = 0; at + 12 <= bytes.length; at += STEP) {
    bytes.writeDoubleLE(run, at);
    bytes.writeUInt32LE((from + at) / 4, at + 8);
  }
  return bytes;
}

function* pieces(run, from, to) {
  for (let at = from; at < to; at += PIECE) yield piece(run, at, Math.min(to, at + PIECE));
}

function sendBytes(response, run, from, to) {
  response.writeHead(200, { ...BINARY, 'content-length': to - from });
  return pipeline(pieces(run, from, to), response);
}

function modelJSON(bytes, shards) {
  const paths = Array.from({ length: shards }, (_, i) => `shard${i}.bin`);
  const weights = [{ name: 'kernel', shape: [bytes / 4], dtype: 'float32' }];
  return JSON.stringify({ modelTopology: { class_name: 'Sequential' }, format: 'layers-model', generatedBy: 'bench', convertedBy: null,
    weightsManifest: [{ paths, weights }] });
}

const routes = [
  [/^drop$/, (request, response) => request.resume().on('end', () => response.writeHead(200, { 'content-type': 'text/plain' }).end('dropped\n'))],
  [/^model\/(\d+)\/(\d+)\/(\d+)\/model\.json$/, (request, response, run, bytes, shards) => (
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache' }).end(modelJSON(bytes, shards)))],
  [/^model\/(\d+)\/(\d+)\/(\d+)\/shard(\d+)\.bin$/, (request, response, run, bytes, shards, i) => (
    sendBytes(response, run, i * bytes / shards, (i + 1) * bytes / shards))],
  [/^pkg\/(\w+\.(?:js|wasm))$/, async (request, response, name) => {
    const type = name.endsWith('.wasm') ? 'application/wasm' : 'text/javascript';
    response.writeHead(200, { 'content-type': type, 'cache-control': 'max-age=3600' }).end(await fs.readFile(path.join(pkg, name)));
  }],
];

/** Answers what is ours; tells whether it was. */
function handle(request, response) {
  const name = /^\/bench-server\/(.*)$/.exec(request.url)?.[1];
  const [pattern, answer] = routes.find(([route]) => name !== undefined && route.test(name)) ?? [];
  if (!answer) return false;
  const [, ...parts] = pattern.exec(name);
  const answered = answer(request, response, ...parts.map((part) => (/^\d+$/.test(part) ? Number(part) : part)));
  Promise.resolve(answered).catch(() => response.destroy());
  return true;
}

export const serveBench = (port = 0) => serve(port, handle);
