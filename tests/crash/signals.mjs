// What a round tells while it works: that it began, and how it ended. A page tells by `sendBeacon`, a process by lines.
import http from 'node:http';

/**
 * What was heard of one round: `began` and `ended` are promises; `outcome` is `resolved`, `rejected: ...` or null; `took` are the
 * milliseconds of the work, `lag` those from the call of `location.reload()` to the end of the page.
 */
class Heard {
  constructor() {
    this.outcome = null;
    this.began = new Promise((resolve) => { this.onBegan = resolve; });
    this.ended = new Promise((resolve) => { this.onEnded = resolve; });
  }

  hear(what) {
    const now = performance.now();
    if (what === 'began') {
      this.since = now;
      this.onBegan();
    } else if (what === 'leaves') {
      this.leaves = now;
    } else if (what === 'left') {
      if (this.leaves !== undefined) this.lag = now - this.leaves; // one may overtake the other
    } else {
      this.outcome = what;
      this.took = now - this.since;
      this.onEnded();
    }
  }
}

/** A receiver on the loopback interface: `expect(round)` gives the URL to tell, and what was heard. */
export function listen() {
  const rounds = new Map();
  const server = http.createServer((request, response) => {
    const { searchParams } = new URL(request.url, 'http://host');
    if (request.method === 'POST') rounds.get(searchParams.get('round'))?.hear(searchParams.get('what'));
    request.resume();
    response.writeHead(204, { 'access-control-allow-origin': '*' }).end();
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve({
    expect(round) {
      rounds.set(String(round), new Heard());
      const report = `http://127.0.0.1:${server.address().port}/?round=${round}`;
      return { report, heard: rounds.get(String(round)) };
    },
    close: () => { server.close(); server.closeAllConnections(); },
  })));
}
