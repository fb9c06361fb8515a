// Debian's nginx in front of a folder, in all the moods that servers of models have.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../lib/webdriver.mjs';

/** What each prefix does with the files of the folder. */
const MOODS = {
  plain: '',
  gzip: 'gzip on; gzip_min_length 1; gzip_types *;',
  bare: 'max_ranges 0; etag off; if_modified_since off; add_header Last-Modified "";',
  'no-store': 'add_header Cache-Control no-store;',
  // Other origins see its ETag; it is a strong one, but a weak one of what was compressed.
  open: 'add_header Access-Control-Expose-Headers "ETag, Content-Encoding, Content-Length";',
  'open-gzip': 'add_header Access-Control-Expose-Headers "ETag, Content-Encoding, Content-Length"; gzip on; gzip_min_length 1; gzip_types *;',
  slow: 'limit_rate 200k;',
  slower: 'limit_rate 4m;',
  forbidden: 'deny all;',
  spa: 'error_page 404 =200 /index.html;', // what single-page applications answer with
};

/** A certificate that nobody vouches for. */
function certify(folder) {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1',
    '-keyout', `${folder}/key.pem`, '-out', `${folder}/certificate.pem`], { stdio: 'ignore' });
}

const config = (folder, [port, secure], root) => `
daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log; ${process.getuid() === 0 ? 'user root;' : ''}
events { worker_connections 256; }
http {
  types { application/json json; text/html html; } default_type application/octet-stream;
  log_format json escape=json '{"method":"$request_method","uri":"$request_uri","status":$status,"bytes":$body_bytes_sent,"range":"$http_range"}';
  access_log ${folder}/access.log json; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port};
    listen 127.0.0.1:${secure} ssl http2; ssl_certificate ${folder}/certificate.pem; ssl_certificate_key ${folder}/key.pem;
    add_header Access-Control-Allow-Origin *;
    location = /index.html { return 200 '<!doctype html><title>app</title>'; default_type text/html; add_header Access-Control-Allow-Origin *; }
${Object.entries(MOODS).map(([mood, lines]) => `    location /${mood}/ { alias ${root}/; add_header Access-Control-Allow-Origin * always; add_header Timing-Allow-Origin *; ${lines} }`).join('\n')}
  }
}`;

/** Serves `root`. Resolves with `{ url, secure, log, close }`: `secure` is the same over HTTP/2, `log()` gives the requests so far. */
export async function startNginx(root) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tfpersist-nginx-'));
  const ports = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${ports[0]}`;
  certify(folder);
  fs.writeFileSync(`${folder}/nginx.conf`, config(folder, ports, path.resolve(root)));
  const server = spawn('nginx', ['-c', `${folder}/nginx.conf`, '-e', `${folder}/error.log`], { stdio: 'inherit' });
  process.once('exit', () => server.kill());
  for (let i = 0; ; i++) {
    if (await fetch(url).then(() => true, () => false)) break;
    if (i === 100 || server.exitCode !== null) throw new Error(`nginx does not start: ${fs.readFileSync(`${folder}/error.log`, 'utf8')}`);
    await sleep(50);
  }
  return {
    url,
    secure: `https://127.0.0.1:${ports[1]}`,
    async log() {
      await sleep(50); // it writes a line when a request has ended
      return fs.readFileSync(`${folder}/access.log`, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
    },
    async close() {
      const gone = new Promise((resolve) => { server.once('close', resolve); });
      server.kill();
      await gone;
      fs.rmSync(folder, { recursive: true });
    },
  };
}
