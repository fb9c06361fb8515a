// What was predicted before the reload, remembered by URL in this tab.

export const remembered = () => JSON.parse(sessionStorage.getItem('predictions') ?? '{}');

export function remember(url, entry) {
  const { [url]: _, ...others } = remembered();
  sessionStorage.setItem('predictions', JSON.stringify(entry ? { ...others, [url]: entry } : others));
}

/** The bits of the floats, because JSON knows neither -0 nor NaN. */
export const entryOf = (floats) => ({ page: performance.timeOrigin, bits: Array.from(new Uint32Array(floats.buffer)) });

/** Compares with what was remembered for this URL. */
export function compare(url, floats) {
  const before = remembered()[url];
  if (!before) {
    remember(url, entryOf(floats));
    return { text: 'Remembered: reload the page and load it again to compare.' };
  }
  const old = new Float32Array(new Uint32Array(before.bits).buffer);
  const { bits } = entryOf(floats);
  const when = before.page === performance.timeOrigin ? 'as before' : 'as before the reload';
  const changed = bits.filter((b, i) => b !== before.bits[i]).length;
  if (changed === 0) return { same: true, text: `Same to the last bit ${when}.` };
  const most = Math.max(...floats.map((f, i) => Math.abs(f - old[i])));
  const difference = `${changed} of ${bits.length} predictions differ, by up to ${most.toPrecision(3)}`;
  return { same: false, text: `Not the same ${when}: ${difference}.` };
}
