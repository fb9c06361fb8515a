// A consumer in strict TypeScript: whatever tf.io's own functions accept and give fits ours, without a cast.
// Compiled, never run: `tsc -p tests/types`. Each @ts-expect-error is a mistake that the types must catch.
import * as tf from '@tensorflow/tfjs';
import init, {
  browserFiles, browserHTTPRequest, copyModel, fromMemory, getLoadHandlers, getSaveHandlers, handler, http, install, listModels, load, loadModel, moveModel,
  objectStore, persistStorage, registerLoadRouter, registerSaveRouter, registerStore, removeModel, save, storageEstimate, sweep, verify, watchModels,
  withSaveHandler,
} from 'tfpersist';
import type {
  ErrorCode, IOHandler, IORouter, LoadOptions, ModelArtifacts, ModelArtifactsInfo, ModelStore, SaveResult, Source, Target,
  TfpersistError, WeightSpec,
} from 'tfpersist';

declare const layers: tf.LayersModel;
declare const sequential: tf.Sequential;
declare const graph: tf.GraphModel;
declare const theirArtifacts: tf.io.ModelArtifacts;
declare const theirInfo: tf.io.ModelArtifactsInfo;
declare const theirHandler: tf.io.IOHandler;

/** The values are of the same types, in both directions. */
export async function values(ours: ModelArtifacts, info: ModelArtifactsInfo, result: SaveResult, spec: WeightSpec) {
  const toTheirs: tf.io.ModelArtifacts = ours;
  const toOurs: ModelArtifacts = theirArtifacts;
  const infoToTheirs: tf.io.ModelArtifactsInfo = info;
  const infoToOurs: ModelArtifactsInfo = theirInfo;
  const resultToTheirs: tf.io.SaveResult = result;
  const specToTheirs: tf.io.WeightsManifestEntry = spec;
  const handlerToOurs: IOHandler = theirHandler;
  const handlerToTheirs: tf.io.IOHandler = handler('indexeddb://m');
  const decoded: tf.NamedTensorMap = tf.io.decodeWeights(ours.weightData ?? new ArrayBuffer(0), [spec]);
  const { data, specs } = await tf.io.encodeWeights(decoded, 'model');
  await save({ weightData: data, weightSpecs: specs }, 'memory://m');
  return [toTheirs, toOurs, infoToTheirs, infoToOurs, resultToTheirs, specToTheirs, handlerToOurs, handlerToTheirs];
}

/** Weights need not be in memory. */
export async function streams(rest: ModelArtifacts, file: File, stream: ReadableStream<Uint8Array>) {
  await save({ ...rest, weightData: file }, 'indexeddb://m');
  await save({ ...rest, weightData: [file, new Blob()] }, 'indexeddb://m');
  await save({ ...rest, weightData: stream }, 'indexeddb://m');
  await save({ ...rest, getWeightStream: () => stream }, 'indexeddb://m');
  const { getWeightStream } = await load('https://host/m/model.json', { stream: true });
  const first: ArrayBuffer | undefined = (await getWeightStream?.().getReader().read())?.value;
  await load(file, { joined: true });
  await loadModel<tf.GraphModel>(tf, 'https://host/m/model.json', { stream: true });
  // @ts-expect-error a text is no weights
  await save({ ...rest, weightData: 'text' }, 'memory://m');
  // @ts-expect-error
  await load('memory://m', { stream: 'yes' });
  return first;
}

/** Our handlers go into TF.js. */
export async function intoTfjs() {
  const options = { onProgress: (fraction: number) => console.log(fraction), signal: new AbortController().signal };
  const plugs = [handler('indexeddb://m'), handler('localstorage://m', options), handler(theirHandler), handler(theirArtifacts)];
  for (const plug of plugs) {
    const result: tf.io.SaveResult = await layers.save(plug, { includeOptimizer: true });
    console.log(result.modelArtifactsInfo.dateSaved.getTime());
    await graph.save(plug);
    const back: tf.LayersModel = await tf.loadLayersModel(plug, { strict: false });
    const graphBack: tf.GraphModel = await tf.loadGraphModel(plug);
    back.summary();
    graphBack.dispose();
  }
  const artifacts = await load('indexeddb://m');
  await tf.loadLayersModel(tf.io.fromMemory(artifacts));
  await tf.loadGraphModel(tf.io.fromMemory(artifacts));
  await tf.loadLayersModel(fromMemory(theirArtifacts));
  await layers.save(withSaveHandler(async (given) => ({ modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(given) })));
  tf.io.registerSaveRouter((url) => (typeof url === 'string' ? getSaveHandlers(url)[0] ?? null! : null!));
  const schemes: string[] = install(tf);
  return schemes;
}

/** What TF.js has goes into ours. */
export async function intoOurs() {
  const results: SaveResult[] = [
    await save(layers, 'indexeddb://m', { includeOptimizer: true, trainableOnly: false, overwrite: false }),
    await save(sequential, 'localstorage://m', { durability: 'default' }),
    await save(graph, handler('memory://m')),
    await save(theirArtifacts, tf.io.withSaveHandler(async (given) => (
      { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(given) }))),
    await save(layers, theirHandler),
  ];
  const sources: Source[] = ['indexeddb://m', theirHandler, theirArtifacts, tf.io.fromMemory(theirArtifacts),
    ...tf.io.getLoadHandlers('x')];
  const targets: Target[] = ['indexeddb://m', theirHandler, ...tf.io.getSaveHandlers('x')];
  for (const source of sources) for (const target of targets) await copyModel(source, target);
  const theirOptions: tf.io.LoadOptions = { strict: true, streamWeights: false, fromTFHub: false };
  const ourOptions: LoadOptions = theirOptions;
  const loaded: tf.io.ModelArtifacts = await load('indexeddb://m', theirOptions);
  const model: tf.LayersModel = await loadModel(tf, 'indexeddb://m', ourOptions);
  const graphModel: tf.GraphModel = await loadModel<tf.GraphModel>(tf, 'indexeddb://m');
  graphModel.dispose();
  const prediction = model.predict(tf.ones([1, 4]));
  return { results, loaded, prediction };
}

/** Management, initialisation, routers, stores of one's own, errors. */
export async function theRest(file: File, module: WebAssembly.Module): Promise<ErrorCode | undefined> {
  await init();
  await init(new URL('https://cdn.example/tfpersist_bg.wasm'));
  await init(fetch('tfpersist_bg.wasm'));
  await init(module);
  await init(new Uint8Array(await file.arrayBuffer()));

  const moved: ModelArtifactsInfo = await moveModel('indexeddb://a', 'localstorage://b',
    { onProgress: (_, { phase, loaded }) => console.log(phase, loaded) });
  const listed: { [url: string]: tf.io.ModelArtifactsInfo } = await listModels({ signal: null });
  for (const { damage, dateSaved } of Object.values(await listModels())) console.log(damage?.code, dateSaved.toISOString());
  const removed: tf.io.ModelArtifactsInfo = await removeModel('indexeddb://a');
  const { damage } = await verify('indexeddb://a', { signal: null });
  await listModels('indexeddb://', { verify: true });
  const stop: () => void = watchModels(({ url, change, here }) => console.log(url.length, change === 'saved' || change === 'removed', here));
  stop();
  const { usage, quota } = await storageEstimate();
  const isKept: boolean = await persistStorage();
  const freed: number = await sweep();
  console.log(moved, listed, removed, damage?.file, (usage ?? 0) / (quota ?? 1), isKept, freed);

  const router: IORouter = (url) => (url === 'mine://x' ? theirHandler : null);
  registerSaveRouter(router);
  registerLoadRouter((url, options) => (Array.isArray(url) ? undefined : getLoadHandlers(url, options)[0]));
  const kept = new Map<string, { artifacts: ModelArtifacts; info: ModelArtifactsInfo }>();
  const store: ModelStore = {
    save: (path, artifacts) => void kept.set(path, { artifacts, info: tf.io.getModelArtifactsInfoForJSON(artifacts) }),
    load: async (path) => kept.get(path)?.artifacts,
    list: () => Object.fromEntries([...kept].map(([path, { info }]) => [path, info])),
    remove: (path) => void kept.delete(path),
  };
  registerStore('mine', store);

  try {
    await load('indexeddb://nowhere');
  } catch (error) {
    const { code, needed, cause } = error as TfpersistError;
    if (code === 'ERR_QUOTA_EXCEEDED') console.log(needed?.toFixed(0), cause);
    return code;
  }
  return undefined;
}

/** Every way in and out, as the tutorial writes it. */
export async function waysInAndOut(input: HTMLInputElement, drop: DragEvent, folder: FileSystemDirectoryHandle, signal: AbortSignal) {
  await save(layers, 'downloads://m', { zip: true, shardBytes: 1 << 20 });
  const { responses } = await save(layers, browserHTTPRequest('http://host/upload', { method: 'PUT', headers: { key: 'value' } }));
  const statuses: number[] = (responses ?? []).map((response) => response.status);
  await save(layers, 'https://host/upload', { requestInit: { credentials: 'include' }, fieldNames: { modelJSON: 'model' }, signal });
  await layers.save(browserHTTPRequest('https://host/m/model.json', { files: true, concurrency: 2, retries: 5 }));
  await layers.save(objectStore({ sign: async (name, bytes) => ({ url: `https://bucket/${name}?n=${bytes.toFixed(0)}`, headers: {} }) }));
  const files = [input.files, [...input.files!], new Blob(), drop.dataTransfer, drop.dataTransfer!.items, folder];
  for (const chosen of files) {
    const model: tf.LayersModel = await tf.loadLayersModel(browserFiles(chosen));
    await copyModel(chosen, 'indexeddb://mine');
    model.dispose();
  }
  await load({ modelJSON: '{}', weights: { 'weights.bin': new ArrayBuffer(4) } });
  await load('models/model.json', { cache: 'indexeddb://cached', onProgress: (_, { file }) => console.log(file?.name, file?.total) });
  await load('https://host/model.json', { weightUrlConverter: async (path, { index }) => `https://cdn/${index}/${path}` });
  await tf.loadGraphModel(http('https://host/model.json', { weightUrlConverter: { 'a.bin': 'https://cdn/a.bin' } }));
  await init({ transfers: true });
  await init({ worker: () => new Worker("worker.js") });
  return [statuses, await listModels('file:///models', { signal })];
}

/** Mistakes. */
export async function mistakes() {
  // @ts-expect-error -- a number is no source
  await load(42);
  // @ts-expect-error -- without `sign` nothing can be sent
  objectStore({ shardBytes: 5 });
  // @ts-expect-error -- no target
  await save(layers);
  // @ts-expect-error -- not a model
  await save(42, 'indexeddb://m');
  // @ts-expect-error -- a misspelt option
  await save(layers, 'indexeddb://m', { overwite: true });
  const { quantized } = await save(layers, 'indexeddb://m', { layout: 'sharded', quantize: (spec) => (spec.shape.length > 1 ? 'uint8' : null) });
  const worst: number = Math.max(quantized!.maxError, quantized!.weights['dense/kernel']?.maxError ?? 0);
  await load('opfs://m', { verify: true, stream: worst > 1 });
  // @ts-expect-error -- not a type that weights are quantised to
  await save(layers, 'indexeddb://m', { quantize: 'int8' });
  // @ts-expect-error -- a move changes nothing
  await moveModel('indexeddb://m', 'opfs://m', { quantize: 'uint8' });
  // @ts-expect-error -- not a layout
  await save(layers, 'indexeddb://m', { layout: 'blobs' });
  // @ts-expect-error -- not a durability
  await save(layers, 'indexeddb://m', { durability: 'very' });
  // @ts-expect-error -- only stores can be moved between
  await moveModel(handler('indexeddb://m'), 'indexeddb://n');
  // @ts-expect-error -- a store without `remove`
  registerStore('half', { save() {}, load: () => undefined, list: () => ({}) });
  // @ts-expect-error -- no such code
  const code: ErrorCode = 'ERR_NO_SUCH_CODE';
  // @ts-expect-error -- dateSaved is a Date in every store
  const date: string = (await listModels())['indexeddb://m']!.dateSaved;
  // @ts-expect-error -- it may not be there
  const info: ModelArtifactsInfo = (await listModels())['indexeddb://m'];
  return [code, date, info];
}
