// `make demo`: serves the model manager and opens it; bench.html is beside it. With CHECK=1 it drives the page by itself instead.
import { spawn } from 'node:child_process';
import { serveBench as serve } from '../scripts/bench/server.mjs';

/** Opens the page where there is a browser; says nothing and does nothing where there is none. */
function open(url) {
  const { DISPLAY, WAYLAND_DISPLAY } = process.env;
  const command = { darwin: 'open', win32: 'explorer' }[process.platform]
    ?? (DISPLAY || WAYLAND_DISPLAY ? 'xdg-open' : null);
  if (!command) return;
  const child = spawn(command, [url], { detached: true, stdio: 'ignore' });
  child.on('error', () => {});
  child.unref();
}

/** The wished port, or a free one when it is taken. */
async function serveSomewhere(port) {
  try {
    return await serve(port);
  } catch (error) {
    if (!['EADDRINUSE', 'EACCES'].includes(error.code)) throw error;
    console.log(`port ${port} cannot be had (${error.code}): taking a free one`);
    return serve(0);
  }
}

if (process.env.CHECK === '1') {
  await import('./check.mjs');
} else {
  const { url, close } = await serveSomewhere(Number(process.env.PORT || 8080));
  console.log(`model manager: ${url}/  benchmark: ${url}/bench.html  (Ctrl-C stops it)`);
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => { close(); process.exit(0); });
  open(`${url}/`);
}
