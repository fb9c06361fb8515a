// ModelArtifactsInfo for the wasm, a listing in a single call: it may have a thousand. Nothing is spread or destructured: that takes
// several times as long in code that runs for the first time.

const bytes = (given) => (given == null ? 0 : Number.isInteger(given) && given >= 0 ? given : NaN);

/** Its date (milliseconds since 1970), and the bytes of topology, specs and weights; NaN for what cannot be read. They are added to `numbers`. */
export function readInfo(info, numbers = []) {
  const date = info?.dateSaved;
  const isDate = date instanceof Date || typeof date === 'string' || typeof date === 'number';
  const saved = isDate ? new Date(date).getTime() : NaN;
  numbers.push(saved, bytes(info?.modelTopologyBytes), bytes(info?.weightSpecsBytes), bytes(info?.weightDataBytes));
  return numbers;
}

/**
 * Of TF.js's records of infos, and the keys of its records of models: the paths of both go into `paths`, and six numbers of each are
 * given, the length of its path, those of its info, and whether there is a model.
 */
export function readListing(infos, keys, paths) {
  const numbers = [];
  const models = new Set(keys);
  const add = (path, info, isStored) => {
    if (typeof path !== 'string') return;
    paths.push(path);
    numbers.push(path.length);
    readInfo(info, numbers).push(isStored);
  };
  for (const record of infos) add(record.modelPath, record.modelArtifactsInfo, models.delete(record.modelPath));
  for (const path of models) add(path, null, true);
  return numbers;
}

/** As TF.js has it, its keys in TF.js's order. */
export function makeInfo(saved, modelTopologyBytes, weightSpecsBytes, weightDataBytes, isSharded) {
  const info = { dateSaved: new Date(saved), modelTopologyType: 'JSON', modelTopologyBytes, weightSpecsBytes, weightDataBytes };
  if (isSharded) info.layout = 'sharded';
  return info;
}

/** The same as properties of a listing, whose keys are URLs: `urls` one after the other, and six numbers of each, of which the first is its length. */
export function addInfos(models, urls, numbers) {
  let at = 0;
  for (let i = 0; i < numbers.length; i += 6) {
    const url = urls.slice(at, (at += numbers[i]));
    models[url] = makeInfo(numbers[i + 1], numbers[i + 2], numbers[i + 3], numbers[i + 4], numbers[i + 5]);
  }
}
