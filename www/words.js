// Bytes, dates and URLs as people read them.

export function humane(bytes) {
  if (!Number.isFinite(bytes)) return 'unknown';
  if (bytes < 1000) return `${bytes} bytes`;
  const [unit, name] = bytes < 999_500 ? [1e3, 'KB'] : bytes < 999_500_000 ? [1e6, 'MB'] : [1e9, 'GB'];
  return `${Number((bytes / unit).toPrecision(3))} ${name}`;
}

export const sum = (info) => (info.modelTopologyBytes ?? 0) + (info.weightSpecsBytes ?? 0) + (info.weightDataBytes ?? 0);
export const dates = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });

/** `[scheme, path]` */
export const split = (url) => [url.slice(0, url.indexOf('://')), url.slice(url.indexOf('://') + 3)];
