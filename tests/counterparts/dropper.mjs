// A server for what nginx does not do: connections that drop, bodies that end early or never, statuses that pass, and files that
// are PUT. It counts what it sends.
import http from 'node:http';
import { Readable } from 'node:stream';

const CORS = {
  'access-control-allow-origin': '*', 'access-control-allow-methods': '*', 'access-control-allow-headers': '*',
  'access-control-expose-headers': '*',
};

/** A file from `bytes=N-` on (browsers themselves say where to end, too); the whole one without a Range. */
function portion(bytes, range) {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  if (from === undefined) return { status: 200, body: bytes, headers: {} };
  const [start, end] = [Number(from), to ? Math.min(Number(to) + 1, bytes.length) : bytes.length];
  if (start >= end) return { status: 416, body: Buffer.alloc(0), headers: {} };
  return { status: 206, body: bytes.subarray(start, end), headers: { 'content-range': `bytes ${start}-${end - 1}/${bytes.length}` } };
}

/**
 * How requests are answered, by the first part of the path: `/drop/...`. Each gets the file, the request, the response and how
 * often this file was asked for before, and may ask whether no other request is under way.
 */
const MOODS = {
  /** The connection breaks after 1 MB of body; Range goes on. */
  drop: (file, request, response) => send(response, portion(file, request.headers.range), { etag: '"v1"' }, 2 ** 20),
  /** The same without Range. */
  'drop-all': (file, request, response) => send(response, portion(file), {}, 2 ** 20),
  /** Breaks once, and the file is another one when it is asked for again. */
  changed(file, request, response, before) {
    if (before === 0) return send(response, portion(file), { etag: '"v1"' }, file.length >> 1);
    return send(response, portion(Buffer.from(file).fill(7), request.headers.range), { etag: '"v2"' });
  },
  /** Breaks once, and is then longer, by so much that its rest is as long as the whole first one. */
  longer(file, request, response, before) {
    if (before === 0) return send(response, portion(file), { etag: '"v1"' }, file.length >> 1);
    return send(response, portion(Buffer.alloc(file.length + (file.length >> 1), 7), request.headers.range), { etag: '"v2"' });
  },
  /** Breaks, then answers once more with the same version and breaks before its first byte, and is then another one of the same length. */
  'changed-late'(file, request, response, before) {
    if (before === 0) return send(response, portion(file), { etag: '"v1"' }, file.length >> 1);
    if (before === 1) return send(response, portion(file), { etag: '"v1"' }, 0);
    return send(response, portion(Buffer.from(file).fill(7)), { etag: '"v2"' });
  },
  /** Breaks, tells nothing of versions, and is then not to be reached once. */
  'out-once'(file, request, response, before) {
    if (before === 1) return void request.socket.destroy();
    return send(response, portion(file), {}, before === 0 ? file.length >> 1 : Infinity);
  },
  /** Breaks once and takes Range, but tells nothing of versions: the file is another one when it is asked for again. */
  unversioned(file, request, response, before) {
    if (before === 0) return send(response, portion(file), {}, file.length >> 1);
    return send(response, portion(Buffer.from(file).fill(7), request.headers.range), {});
  },
  /** The same with an ETag that is as good as equal, which is not good enough to join bytes. */
  weak(file, request, response, before) {
    if (before === 0) return send(response, portion(file), { etag: 'W/"v1"' }, file.length >> 1);
    return send(response, portion(Buffer.from(file).fill(7), request.headers.range), { etag: 'W/"v1"' });
  },
  /** Drops after 1 MB; only a date tells the version. */
  dated: (file, request, response) => send(response, portion(file, request.headers.range), { 'last-modified': 'Mon, 05 Jan 2026 10:00:00 GMT' }, 2 ** 20),
  /** Breaks once, and then goes on from somewhere else than it was asked to. */
  elsewhere(file, request, response, before) {
    if (before === 0) return send(response, portion(file), { etag: '"v1"' }, file.length >> 1);
    return send(response, portion(file, request.headers.range && 'bytes=1000-'), { etag: '"v1"' });
  },
  /** Breaks once, and knows no Range. */
  once: (file, request, response, before) => send(response, portion(file), {}, before === 0 ? file.length >> 1 : Infinity),
  /** Comes back in half a minute. */
  later: (file, request, response) => send(response, { status: 503, body: Buffer.from('later'), headers: { 'retry-after': '30' } }, {}),
  /** Comes back tomorrow. */
  tomorrow: (file, request, response) => send(response, { status: 503, body: Buffer.from('tomorrow'), headers: { 'retry-after': '86400' } }, {}),
  /** Half of the body, and then nothing, for ever. */
  stall(file, request, response) {
    response.writeHead(200, { ...CORS, 'content-length': file.length });
    response.write(file.subarray(0, file.length >> 1));
  },
  /** Twice 503, then the file. */
  busy(file, request, response, before) {
    if (before < 2) return send(response, { status: 503, body: Buffer.from('busy'), headers: { 'retry-after': '0' } }, {});
    return send(response, portion(file), {});
  },
  /** Asks for a second of patience. */
  patience(file, request, response, before) {
    if (before === 0) return send(response, { status: 429, body: Buffer.from('slowly'), headers: { 'retry-after': '1' } }, {});
    return send(response, portion(file), {});
  },
  /** The same once; whoever asks again gets all. */
  'stall-once': (file, request, response, before) => (before === 0 ? MOODS.stall : MOODS.plain)(file, request, response),
  /** The second half comes when no other request is under way any more, as where all share one window that the others have filled. */
  alone(file, request, response, before, isAlone) {
    response.writeHead(200, { ...CORS, 'content-length': file.length });
    response.write(file.subarray(0, file.length >> 1));
    const asking = setInterval(() => isAlone() && response.end(file.subarray(file.length >> 1)), 500);
    response.on('close', () => clearInterval(asking));
  },
  /** As fast as the client takes it, and no faster. */
  flow(file, request, response) {
    response.writeHead(200, { ...CORS, 'content-length': file.length });
    const pieces = function* () { for (let at = 0; at < file.length; at += 65536) yield file.subarray(at, at + 65536); };
    Readable.from(pieces(), { highWaterMark: 1 }).pipe(response);
  },
  plain: (file, request, response) => send(response, portion(file, request.headers.range), { etag: `"${file.length}-${file[0]}"` }),
};

function send(response, { status, body, headers }, more, breakAfter = Infinity) {
  response.writeHead(status, { ...CORS, ...headers, ...more, 'content-length': body.length });
  if (response.req.method === 'HEAD') return void response.end();
  if (body.length <= breakAfter) return void response.end(body);
  response.flushHeaders();
  response.write(body.subarray(0, breakAfter), () => setTimeout(() => response.socket?.destroy(), 150));
}

/**
 * Serves `files`, a Map from name to Buffer. Resolves with `{ url, log, files, failures, close }`: `log` has a row for each request, with
 * the bytes that went out and whether the client gave up; a PUT of a name in `failures` answers 503 so many times,
 * and one with `sig=bad` in its query 403; one below `/sink/` is
 * not kept, and its answer does not say how long it is.
 */
export function startDropper(files = new Map()) {
  const log = [];
  const failures = new Map();
  const server = http.createServer(async (request, response) => {
    const [, mood, ...rest] = decodeURI(new URL(request.url, 'http://host').pathname).split('/');
    const name = rest.join('/');
    const row = { method: request.method, mood, name, search: new URL(request.url, 'http://host').search, range: request.headers.range, own: request.headers['x-own'], ended: false };
    const before = log.filter((other) => other.method === row.method && other.mood === mood && other.name === name).length;
    if (request.method !== 'OPTIONS') log.push(row);
    const atStart = request.socket.bytesWritten;
    response.on('close', () => Object.assign(row, { bytes: request.socket.bytesWritten - atStart, ended: true, whole: response.writableFinished }));
    if (request.method === 'OPTIONS') return response.writeHead(204, CORS).end();
    if (request.method === 'PUT') {
      const pieces = await request.toArray().catch(() => null);
      if (!pieces) return undefined; // it was aborted
      const body = Buffer.concat(pieces);
      if (row.search.includes('sig=bad')) return send(response, { status: 403, body: Buffer.from('the signature does not match'), headers: {} }, {});
      const left = [...failures].find(([part, times]) => name.includes(part) && times > 0);
      if (left) {
        failures.set(left[0], left[1] - 1);
        return send(response, { status: 503, body: Buffer.from('not now'), headers: { 'retry-after': '0' } }, {});
      }
      if (mood === 'sink') return response.writeHead(200, CORS).end('kept');
      files.set(name, body);
      return send(response, { status: 200, body: Buffer.from('kept'), headers: {} }, {});
    }
    if (!files.has(name)) return send(response, { status: 404, body: Buffer.from(`there is no ${name}`), headers: {} }, {});
    return MOODS[mood](files.get(name), request, response, before, () => log.every((other) => other === row || other.ended));
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve({
    url: `http://127.0.0.1:${server.address().port}`,
    log,
    files,
    failures,
    close: () => { server.close(); server.closeAllConnections(); },
  })));
}
