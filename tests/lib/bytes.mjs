// Bytes for tests: seeded noise, hex, hashes. Runs in Node, in pages and in workers.

/** Noise from xorshift32: the same for the same seed, and no engine can compress it (Firefox tries). */
export function noise(seed, byteLength) {
  const buffer = new ArrayBuffer(byteLength);
  const words = new Uint32Array(buffer, 0, byteLength >> 2);
  let x = (seed * 2654435761) >>> 0 || 1;
  const next = () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x;
  };
  for (let i = 0; i < 8; i++) next(); // neighbouring seeds drift apart
  for (let i = 0; i < words.length; i++) words[i] = next();
  const rest = new Uint8Array(buffer, words.byteLength);
  for (let i = 0; i < rest.length; i++) rest[i] = next();
  return buffer;
}

/** Numbers in [-1, 1): finite, unlike noise read as float32. */
export function numbers(seed, count) {
  return Float32Array.from(new Int32Array(noise(seed, count * 4)), (n) => n / 2 ** 31);
}

/** A generator of numbers in [0, 1). */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function hex(buffer) {
  return Array.from(new Uint8Array(buffer), (b) => b.toString(16).padStart(2, '0')).join('');
}

export async function sha256(buffer) {
  return hex(await crypto.subtle.digest('SHA-256', buffer));
}

/** One ArrayBuffer out of one or many. */
export function join(weightData) {
  if (!Array.isArray(weightData)) return weightData;
  const whole = new Uint8Array(weightData.reduce((n, b) => n + b.byteLength, 0));
  let at = 0;
  for (const part of weightData) {
    whole.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  return whole.buffer;
}

export function fromBase64(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
}
