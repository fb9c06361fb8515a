// How long works take here and now, learned as the rounds go, so that the moments fall within them.

const MB = 2 ** 20;
const ENDLESS = 300; // ms: a moment in a work without an end
/** Milliseconds, roughly: what is learned is how many times as long it takes. */
const guess = (round) => (isShort(round) ? 10 : 20 + (8 * round.bytes) / MB);
/** Copies and moves of models in shards touch no byte of them. */
const isShort = ({ verb, from, target }) => verb === 'remove' || (['shards', 'opfs'].includes(from) && from === target && ['copy', 'move'].includes(verb));

export class Durations {
  #factors = new Map();
  #lags = new Map(); // engine -> ms from `location.reload()` to the page's end

  #key = ({ engine, lib, from, target, verb }) => [engine, lib, from, target, verb].join();

  #like = ({ engine, lib, store }) => [engine, lib, store].join(); // when there was no such verb yet

  #factor = (round) => this.#factors.get(this.#key(round)) ?? this.#factors.get(this.#like(round)) ?? 1;

  /** When to interrupt the round: ms after its beginning, or `'after'`. */
  delay(round) {
    if (round.when === 'after') return 'after';
    const expected = round.verb === 'again' ? ENDLESS : guess(round) * this.#factor(round);
    const lag = round.how === 'reload' ? this.#lags.get(round.engine) ?? 0 : 0;
    return Math.max(0, Math.round(round.when * expected - lag));
  }

  /** From a round that is over: a shot that came too late brings the next ones forward. */
  learn({ round, took, delay, lag, isInside }) {
    if (lag !== undefined) this.#lags.set(round.engine, lag);
    if (round.verb === 'again') return;
    const known = this.#factor(round);
    if (took !== undefined) {
      const factor = took / guess(round);
      for (const key of [this.#key(round), this.#like(round)]) {
        this.#factors.set(key, this.#factors.has(key) ? (this.#factors.get(key) + factor) / 2 : factor);
      }
    } else if (isInside) { // it takes longer than this, at least
      this.#factors.set(this.#key(round), Math.max(known, delay / guess(round)));
    }
  }
}
