// Static files for the demo and the tests: www/ at /, the built package at /pkg/, real TF.js at /tfjs/, tests/ at /tests/.
import http from 'node:http';
import fs from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folders = {
  '/pkg/': 'pkg',
  '/tfjs/': 'node_modules/@tensorflow/tfjs/dist',
  '/tests/': 'tests',
  '/': 'www',
};
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
};

function locate(url) {
  const name = path.posix.normalize(decodeURIComponent(new URL(url, 'http://host').pathname));
  const prefix = Object.keys(folders).find((p) => name.startsWith(p));
  const rest = name.slice(prefix.length);
  return path.join(root, folders[prefix], rest === '' || rest.endsWith('/') ? `${rest}index.html` : rest);
}

/**
 * Serves on the loopback interface; port 0 takes a free one. `handle(request, response)` may answer first: it then gives true.
 * Resolves with `{ url, close }`.
 */
export function serve(port = 0, handle = () => false) {
  const server = http.createServer(async (request, response) => {
    if (handle(request, response)) return;
    try {
      const file = locate(request.url);
      const body = await fs.readFile(file);
      const type = types[path.extname(file)] ?? 'application/octet-stream';
      response.writeHead(200, { 'content-type': type, 'cache-control': 'no-cache' }).end(body);
    } catch {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
    }
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', () => resolve({
      url: `http://127.0.0.1:${server.address().port}`,
      close: () => { server.close(); server.closeAllConnections(); },
    }));
  });
}
