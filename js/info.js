// ModelArtifactsInfo for the wasm, each in a single call: a listing may have a thousand. Nothing is spread or destructured: that takes
// several times as long in code that runs for the first time.

const bytes = (given) => (given == null ? 0 : Number.isInteger(given) && given >= 0 ? given : NaN);

/** Its date (milliseconds since 1970), and the bytes of topology, specs and weights; NaN for what cannot be read. */
export function readInfo(info) {
  const date = info?.dateSaved;
  const isDate = date instanceof Date || typeof date === 'string' || typeof date === 'number';
  const saved = isDate ? new Date(date).getTime() : NaN;
  return [saved, bytes(info?.modelTopologyBytes), bytes(info?.weightSpecsBytes), bytes(info?.weightDataBytes)];
}

/** As TF.js has it, its keys in TF.js's order. */
export function makeInfo(saved, modelTopologyBytes, weightSpecsBytes, weightDataBytes, isSharded) {
  const info = { dateSaved: new Date(saved), modelTopologyType: 'JSON', modelTopologyBytes, weightSpecsBytes, weightDataBytes };
  if (isSharded) info.layout = 'sharded';
  return info;
}

/** The same as a property of a listing, whose keys are URLs. */
export function addInfo(models, url, saved, topology, specs, weights, isSharded) {
  models[url] = makeInfo(saved, topology, specs, weights, isSharded);
}
