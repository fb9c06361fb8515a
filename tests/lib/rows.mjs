// What the scenes of interop/thirteen-rows.test.mjs do in the page, where it is longer than a line.
import { done } from './storage.mjs';

/** Entries that neither library wrote like this: five in Local Storage that are damaged, a stray key, and an info without a model. */
export async function damageEntries() {
  const bad = { cut: '{"dateSaved":"2026-', empty: '', null: 'null', text: '"text"', undated: '{"modelTopologyType":"JSON"}' };
  for (const [path, text] of Object.entries(bad)) localStorage.setItem(`tensorflowjs_models/${path}/info`, text);
  localStorage.setItem('tensorflowjs_models/info', 'stray');
  localStorage.setItem('tensorflowjs_models/stray', 'stray');
  const db = await done(indexedDB.open('tensorflowjs'));
  const sizes = { modelTopologyBytes: 9, weightSpecsBytes: 9, weightDataBytes: 9 };
  await done(db.transaction('model_info_store', 'readwrite').objectStore('model_info_store').put(
    { modelPath: 'ghost', modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON', ...sizes } }));
  db.close();
}

/** Every object URL that was made since `countObjectURLs`, and how often it was revoked. */
export const objectURLs = [];

export function countObjectURLs() {
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (blob) => {
    const url = createObjectURL.call(URL, blob);
    objectURLs.push({ url, revoked: 0 });
    return url;
  };
  URL.revokeObjectURL = (url) => {
    const row = objectURLs.find((made) => made.url === url);
    if (row) row.revoked++;
    return revokeObjectURL.call(URL, url);
  };
}
