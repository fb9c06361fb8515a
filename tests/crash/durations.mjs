// How long works take here and now, learned as the rounds go, so that the moments fall within them.

const MB = 2 ** 20;
/** Milliseconds, roughly: what is learned is how many times as long it takes. */
const guess = (verb, bytes) => (verb === 'remove' ? 10 : 20 + (8 * bytes) / MB);

export class Durations {
  #factors = new Map();

  #key = ({ engine, lib, store, target, verb }) => [engine, lib, store, target, verb].join();

  /** Milliseconds that the round's work will probably take. */
  expected(round) {
    if (round.verb === 'again') return 300; // it has no end
    return guess(round.verb, round.bytes) * (this.#factors.get(this.#key(round)) ?? 1);
  }

  /** `took` is how long it took, or, where `isMore`, that it took longer: a shot that comes too late brings the next ones forward. */
  learn(round, took, isMore) {
    if (round.verb === 'again') return;
    const [factor, known] = [took / guess(round.verb, round.bytes), this.#factors.get(this.#key(round))];
    if (isMore) this.#factors.set(this.#key(round), Math.max(known ?? 1, factor));
    else this.#factors.set(this.#key(round), known === undefined ? factor : (known + factor) / 2);
  }
}
