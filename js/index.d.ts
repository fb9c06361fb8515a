// The types of tfpersist, all of them. The names of the values follow tf.io; the shapes are checked by
// `tsc --strict` against @tensorflow/tfjs in tests/types.

/** Bytes of all weights, joined or in pieces, in the order of `weightSpecs`; little-endian. */
export type WeightData = ArrayBuffer | ArrayBuffer[];

/** How one weight was quantised by a converter: `value = stored * scale + min`. */
export interface Quantization {
  /** What the stored numbers are. */
  dtype: 'uint8' | 'uint16' | 'float16';
  /** Smallest value; given for uint8 and uint16. */
  min?: number;
  /** Step between two stored numbers; given for uint8 and uint16. */
  scale?: number;
  /** What the weight was before, normally `float32`. */
  original_dtype?: string;
}

/** Name, shape and dtype of one weight. */
export interface WeightSpec {
  /** For example `dense_Dense1/kernel`. */
  name: string;
  /** Lengths of the axes; `[]` is a scalar. */
  shape: number[];
  /** Type of the elements as the model uses them. */
  dtype: 'float32' | 'int32' | 'bool' | 'string' | 'complex64';
  /** `'optimizer'` for the optimizer's own state. */
  group?: 'model' | 'optimizer';
  /** Present when the bytes are quantised. */
  quantization?: Quantization;
}

/** A model as a value: what tf.io calls ModelArtifacts. */
export interface ModelArtifacts {
  /** JSON value, kept as it is: key order and number spelling survive. */
  modelTopology?: {} | ArrayBuffer;
  /** Loss, metrics and optimizer of a compiled layers model. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tf.io's TrainingConfig, whose fields differ between releases
  trainingConfig?: any;
  /** One entry a weight, in the order of the bytes. */
  weightSpecs?: WeightSpec[];
  /**
   * The bytes of the weights. A load gives one ArrayBuffer, or a list where the model is stored in several, as one of more than 4 MiB may be in shards;
   * TF.js takes both. `{ joined: true }` makes one of them.
   */
  weightData?: WeightData;
  /**
   * Instead of `weightData`: the same bytes as a stream. A load gives it with `{ stream: true }`: nothing is read that nobody asked for, a cancel
   * ends the request, and each call opens a stream of its own. Its chunks are of any length: one may end in the middle of a number.
   */
  getWeightStream?: () => ReadableStream<ArrayBuffer>;
  /** `'layers-model'` or `'graph-model'`. */
  format?: string;
  /** What wrote the model, for example `TensorFlow.js tfjs-layers v4.22.0`. */
  generatedBy?: string;
  /** What converted it, `null` when nothing did. */
  convertedBy?: string | null;
  /** Inputs and outputs of a graph model. */
  signature?: {};
  /** Whatever the model's author attached (JSON). */
  userDefinedMetadata?: { [key: string]: {} };
  /** Initializer graph of a graph model. */
  modelInitializer?: {};
  /** Inputs and outputs of the initializer. */
  initializerSignature?: {};
}

/** ModelArtifacts as `save` takes them: the weights may also be Blobs or a stream, which need not fit into memory where they go into
 * shards, a folder, or to a server as `files`. What is sent in one request, and a download, is gathered in Blobs, which Node keeps in
 * memory. */
export interface ArtifactsToSave extends Omit<ModelArtifacts, 'weightData' | 'getWeightStream'> {
  weightData?: WeightData | ArrayBufferView | Blob | Array<ArrayBuffer | ArrayBufferView> | Blob[] | ReadableStream<ArrayBuffer | ArrayBufferView>;
  getWeightStream?: () => ReadableStream<ArrayBuffer | ArrayBufferView>;
}

/** What a store knows of a model without reading its weights. Sizes are bytes. */
export interface ModelArtifactsInfo {
  /** When it was saved: a Date in every store; 1970 in the row of a damaged model whose date is unreadable. */
  dateSaved: Date;
  /** Always `'JSON'`. */
  modelTopologyType: 'JSON' | 'GraphDef';
  /** UTF-8 bytes of the topology's JSON. */
  modelTopologyBytes?: number;
  /** UTF-8 bytes of the weight specs' JSON. */
  weightSpecsBytes?: number;
  /** Bytes of the weights. */
  weightDataBytes?: number;
  /** Of `indexeddb://`: that the model lies in shards, which TF.js does not read. */
  layout?: 'sharded';
}

/** A row of `listModels()`. */
export interface ListedModel extends ModelArtifactsInfo {
  /**
   * What is wrong with the entry, as far as a listing sees without reading the weights; `verify` reads everything. What else a model has may be
   * sound, and load.
   * `removeModel` removes it all the same, unless its model.json is no file.
   */
  damage?: TfpersistError;
}

/** What a save resolves with, after the model is committed. */
export interface SaveResult {
  /** Date and sizes of what was saved. */
  modelArtifactsInfo: ModelArtifactsInfo;
  /** The server's answers, of saves by HTTP. */
  responses?: Response[];
  /** What the option `quantize` did, in all and by the names of the weights. */
  quantized?: Quantized & { weights: { [name: string]: Quantized & { dtype: QuantizedDType } } };
  /** Never set by tfpersist: failures reject. Here because tf.io has it. */
  errors?: Array<{} | string>;
}

/** tf.io's plug: anything with `save` or `load`. TF.js takes ours, we take TF.js's. */
export interface IOHandler {
  save?: (artifacts: ModelArtifacts) => Promise<SaveResult>;
  load?: () => Promise<ModelArtifacts>;
}

/** Anything that saves itself into a handler: a `tf.LayersModel`, a `tf.GraphModel`. */
export interface SavableModel {
  save(handler: any, config?: any): Promise<any>;
}

/** More about a moment of a transfer; sizes are bytes. */
export interface ProgressDetail {
  /** Bytes so far, of all files. */
  loaded: number;
  /** Bytes in all, when known. */
  total?: number;
  /** `'read'` while the bytes come together, `'write'` while they are sent or written, `'done'` once, after the commit. */
  phase: 'read' | 'write' | 'done';
  /** Which file this is about, where a model is several files: its name or URL, its bytes so far, and in all when known. */
  file?: { name: string; loaded: number; total?: number };
}

/** Options of every verb. An option that does not exist is ERR_INVALID_ARGUMENT. */
export interface Options {
  /** Stops the work: what was begun is undone, then the promise rejects with `signal.reason`. */
  signal?: AbortSignal | null;
  /** Fraction between 0 and 1, never falling; 1 is reported once, when the work is committed. What it throws goes to the console. */
  onProgress?: (fraction: number, detail: ProgressDetail) => void;
}

/** Fields of a RequestInit that may also stand among the options themselves, as in TF.js's own documents. */
export type BareRequestInit = Pick<RequestInit,
  'method' | 'headers' | 'credentials' | 'mode' | 'redirect' | 'referrer' | 'referrerPolicy' | 'integrity' | 'keepalive'>;

/** Options of everything that goes by HTTP. */
export interface RequestOptions extends BareRequestInit {
  /**
   * For every request. A `body` in it is refused, and what stands beside it, too. Its `signal` counts when there is no other. The `method` is that of
   * a save; a load asks with GET, or with POST where that is given. A copy from one server to another has none for both: give each its own, as
   * `copyModel(browserHTTPRequest(from, { headers }), browserHTTPRequest(to, { method: 'PUT' }))`.
   */
  requestInit?: RequestInit;
  /** Instead of the global `fetch`. Weights are asked for with a third argument, `{ isBinary: true }`. */
  fetchFunc?: Function;
  /** Files under way at once; default 6. */
  concurrency?: number;
  /**
   * How often a file is tried again after a failure that may pass: the network, 408, 425, 429, 5xx. Default 3, and 0 for a save in
   * one request. Waits 0.25 s, 0.5 s, 1 s and so on up to 8 s between tries, up to half of it less, or what Retry-After says, a minute at most: with 3 that
   * is 0.9 to 1.75 s in all, with 8 it is 16 to 32 s. What has come already is kept and gone on from where the server gives an ETag or Last-Modified and takes Range.
   */
  retries?: number;
}

/** Options of `save`; most of them also of `copyModel` and `moveModel`. */
export interface SaveOptions extends Options, RequestOptions {
  /** Replace what is stored there (default), or reject with ERR_ALREADY_EXISTS. In a folder `false` takes a hard link: ERR_STORAGE where the file
   * system has none. */
  overwrite?: boolean;
  /** Passed to `model.save`: only the trainable weights. Artifacts, which have no `save`, are taken whole: then this is refused. */
  trainableOnly?: boolean;
  /** Passed to `model.save`: the optimizer's state, too. As above. */
  includeOptimizer?: boolean;
  /**
   * `'strict'`: resolve only when the bytes are on the disk. Default: as the engine does, and strict for models in shards, where what a relaxed save has
   * written is then written again. Local Storage cannot; of a server, a download and `memory://` it says nothing.
   * `'relaxed'` is quicker, and as safe unless the whole machine loses power.
   */
  durability?: 'default' | 'strict' | 'relaxed';
  /**
   * `indexeddb://` only: `'tfjs'`, a record that TF.js reads; `'sharded'`, shards that it does not; `'auto'` (default): TF.js's up to 64 MiB of
   * weights, shards above that and for a stream of unknown length.
   */
  layout?: 'auto' | 'tfjs' | 'sharded';
  /** Bytes of a weight file at most, wherever a model is saved as files; default: all weights in one, 4 MiB in a zip and with `files`. */
  shardBytes?: number;
  /** `downloads://` only: one zip with model.json and the weight files, stored. */
  zip?: boolean;
  /** HTTP only: each file is a PUT of its own beside model.json, whose URL is the target; model.json goes last. */
  files?: boolean;
  /** HTTP only: names of the multipart fields; default `model.json` and `model.weights.bin`. */
  fieldNames?: { modelJSON?: string; weights?: string };
}

/** Options of `copyModel` and `moveModel`, which take what is stored whole. */
export type CopyOptions = Omit<SaveOptions, 'trainableOnly' | 'includeOptimizer'>;

/** How the numbers of a float32 weight are stored in fewer bits, by the formula of TF.js's converter: 2, 2 and 1 bytes each. */
export type QuantizedDType = 'float16' | 'uint16' | 'uint8';

/** Options of `save` and `copyModel` that change the numbers. */
export interface QuantizeOptions {
  /**
   * Store float32 weights in fewer bits; TF.js makes float32 of them when it loads the model. A function says it for each weight, by its spec;
   * `null` or nothing leaves it as it is (the optimizer's state has `group: 'optimizer'`). Weights of other types, and those that are quantised
   * already, are passed on. NaN and infinite numbers have a place in `'float16'` only, and finite ones from 65520 on not there:
   * ERR_INVALID_ARGUMENT, and nothing is replaced. A stream that is read once is held in memory, quantised, for `'uint16'` and `'uint8'`.
   * @example const { quantized } = await save(model, 'indexeddb://m', { quantize: (spec) => (spec.shape.length > 1 ? 'uint8' : null) });
   */
  quantize?: QuantizedDType | ((spec: WeightSpec) => QuantizedDType | null | undefined);
}

/** What `quantize` did to a weight, or to all. */
export interface Quantized {
  /** Bytes as they are stored. */
  bytes: number;
  /** Bytes before. */
  originalBytes: number;
  /** The largest difference that it made to a number. */
  maxError: number;
}

/** Options of `load` and `loadModel`: tf.io's LoadOptions and ours. */
export interface LoadOptions extends Options, RequestOptions {
  /** For TF.js: whether the weights must match the layers exactly. */
  strict?: boolean;
  /** For TF.js: the URL is a TF Hub module. */
  fromTFHub?: boolean;
  /** For TF.js: send the weights to the backend as they come. */
  streamWeights?: boolean;
  /** Compare what is stored with the checksums that it was stored with, where the store has some (shards, Local Storage): ERR_CORRUPT. */
  verify?: boolean;
  /**
   * Give `getWeightStream` instead of `weightData`, so that the weights are never in memory whole. Of a server's files four are read
   * at once (with `concurrency` fewer), a block of each; what breaks off is gone on with inside the stream, and a file that has become another one meanwhile is ERR_CHECKSUM. With
   * `loadModel` and handlers TF.js reads a graph model's weights so; a layers model is loaded as without it, for `tf.loadLayersModel` takes no
   * streams: it would make up random weights. `onProgress` sees what is read until the call resolves, not the stream. `joined` has no meaning then.
   */
  stream?: boolean;
  /** Give `weightData` as one ArrayBuffer, also where the model is stored in several. That is a copy, and one buffer may be too large for the engine. */
  joined?: boolean;
  /**
   * HTTP only: what the paths of the weight files are put behind, instead of the folder of model.json. A path that leads to another server
   * than that is ERR_MANIFEST; `weightUrlConverter` may give any URL.
   */
  weightPathPrefix?: string;
  /**
   * HTTP only: gives the URL of each weight file, from its path in the manifest, its place among all (from 0) and its bytes when
   * they are known; or a table from path to URL. What the table lacks is looked for in the usual place.
   */
  weightUrlConverter?: ((path: string, file: { index: number; bytes?: number }) => string | Promise<string>) | { [path: string]: string };
  /**
   * HTTP only: a store's URL in which the model is kept. It is loaded from there as long as the server's model.json is the same and
   * its weight files have the same ETag or Last-Modified (or neither), and when the server cannot be reached. `indexeddb://`, `opfs://`, `memory://`
   * or a registered store that keeps all fields; a model of your own that is there is ERR_ALREADY_EXISTS, not replaced.
   */
  cache?: string;
}

/** Where a model can go: `scheme://path`, or a handler. One that was made here gets the options of the call beside its own, and the
 * weights as they come: what both name is the call's, signals and listeners of both are heard, and options of requests (`method`, `headers`,
 * ...) stand in one of them. */
export type Target = string | IOHandler;
/** Files that a person picked or dropped, a folder, or one zip. */
export type Files =
  | null // nothing was chosen: ERR_INVALID_ARGUMENT
  | Blob | ArrayLike<Blob> | DataTransfer | DataTransferItemList | FileSystemHandle | FileSystemHandle[]
  | FileSystemEntry | FileSystemEntry[];
/** A model JSON in memory, as a value, a text or bytes, and its weights: joined, in order, or by file name. */
export interface ModelInMemory {
  modelJSON: {} | string | BufferSource;
  weights?: BufferSource | BufferSource[] | { [file: string]: BufferSource };
}
/** Where a model can come from: a URL (also a relative one), files, a handler, or the model itself. */
export type Source = string | IOHandler | ModelArtifacts | ModelInMemory | Files;

/** What can go wrong, for a program. */
export type ErrorCode =
  | 'ERR_INVALID_URL' | 'ERR_UNKNOWN_SCHEME' | 'ERR_NOT_SUPPORTED' | 'ERR_NOT_FOUND' | 'ERR_ALREADY_EXISTS'
  | 'ERR_QUOTA_EXCEEDED' | 'ERR_HTTP_STATUS' | 'ERR_NETWORK' | 'ERR_MANIFEST' | 'ERR_SIZE_MISMATCH'
  | 'ERR_CHECKSUM' | 'ERR_CORRUPT' | 'ERR_INVALID_ARGUMENT' | 'ERR_STORAGE';

/** What is wrong with one file of a model. Sizes are bytes. */
export interface FileProblem {
  /** Its name or URL. */
  file: string;
  problem: 'missing' | 'superfluous' | 'duplicate' | 'truncated' | 'oversized';
  /** Bytes that it should have. */
  expected?: number;
  /** Bytes that it has. */
  received?: number;
}

/** What every verb rejects with, except an abort, which rejects with the signal's own reason, and what your own functions (streams, handlers,
 * `sign`, `quantize`) and TF.js throw, which comes as it is. */
export interface TfpersistError extends Error {
  code: ErrorCode;
  /** The host's own exception, where there is one. */
  cause?: unknown;
  url?: string;
  scheme?: string;
  /** ERR_UNKNOWN_SCHEME: the schemes that exist. */
  known?: string[];
  operation?: string;
  why?: string;
  argument?: string;
  file?: string;
  expected?: string | number;
  received?: string | number;
  /** ERR_HTTP_STATUS: the status; `why` is then the beginning of what the server sent with it. */
  status?: number;
  /** ERR_MANIFEST, ERR_SIZE_MISMATCH: all that is wrong with the files of a model, where several things are. */
  problems?: FileProblem[];
  /** ERR_QUOTA_EXCEEDED: bytes that the save needs. */
  needed?: number;
  /** ERR_QUOTA_EXCEEDED: bytes in use, as the engine reports it; not for Local Storage, of which it reports nothing. */
  usage?: number;
  /** ERR_QUOTA_EXCEEDED: bytes allowed, as the engine reports it. */
  quota?: number;
}

/** A store of your own: what `registerStore` takes. All methods may be asynchronous. */
export interface ModelStore {
  /** Stores the model under `path`, replacing what was there, all or nothing. `weightData` is one ArrayBuffer. */
  save(path: string, artifacts: ModelArtifacts): Promise<ModelArtifactsInfo | void> | ModelArtifactsInfo | void;
  /** The model, or `undefined` when there is none. */
  load(path: string): Promise<ModelArtifacts | undefined> | ModelArtifacts | undefined;
  /** What is stored, by path; it also tells `overwrite: false` and moves what there is. */
  list(): Promise<{ [path: string]: ModelArtifactsInfo }> | { [path: string]: ModelArtifactsInfo };
  /** Removes it. A path that does not exist is not an error. Like `save`, it is waited for also after an abort. */
  remove(path: string): Promise<void> | void;
}

/** Maps a URL to a handler, or to `null` when it is not its business. */
export type IORouter = (url: string | string[], options?: LoadOptions) => IOHandler | null | undefined;

/** The part of TF.js that `loadModel` and `install` use: pass the `tf` namespace. */
export interface TF {
  loadLayersModel?: (source: any, options?: any) => Promise<any>;
  loadGraphModel?: (source: any, options?: any) => Promise<any>;
  io?: any;
}

/** Where the WebAssembly comes from when it is not beside the package. */
export type InitSource = string | URL | Request | Response | BufferSource | WebAssembly.Module;

/**
 * Loads the WebAssembly, once. Optional: every verb awaits it by itself. There are two builds: `tfpersist_bg.wasm` with TF.js's own
 * stores, and `tfpersist_transfers_bg.wasm` with everything, which is fetched at the first call that needs `opfs://`, a large model, a
 * server, files, downloads, a cache, a stream, `quantize`, or `overwrite: false` on `indexeddb://`. `{ transfers: true }`, or where that one is, fetches it at once and uses it for all.
 *
 * In a page, `opfs://` writes through workers of its own, one, and two more that force what a large model is written to to the disk: `worker.js` of
 * the package, or a Blob with the same text where that cannot be started. `{ worker }` says where it is, or makes a new one at each call.
 * @example await init('https://cdn.example/tfpersist_bg.wasm');
 * @example await init({ transfers: true });
 * @example await init({ worker: '/static/tfpersist-worker.js' });
 */
export default function init(source?: InitSource | Promise<InitSource>
  | { transfers?: true | InitSource | Promise<InitSource>; worker?: string | URL | (() => Worker) }): Promise<void>;

/**
 * Saves a model and resolves when it is committed: the path then shows the new model, and after any failure the old one.
 * @param model a `tf.LayersModel`, a `tf.GraphModel`, or ModelArtifacts. It is not changed, and neither may its buffers be before this settles: they
 *   are not copied. Weights without `weightSpecs` are refused, and specs without weights.
 * @param target `localstorage://path`, `indexeddb://path`, `downloads://name`, `http(s)://...`, in Node `file://folder`, a registered
 *   scheme, or an IOHandler.
 * @throws TfpersistError ERR_QUOTA_EXCEEDED, ERR_INVALID_URL, ERR_UNKNOWN_SCHEME, ERR_MANIFEST, ERR_SIZE_MISMATCH, ERR_HTTP_STATUS,
 *   ERR_NETWORK, ...
 * @example const { modelArtifactsInfo } = await save(model, 'indexeddb://my-model');
 * @example await save({ ...rest, weightData: file }, 'opfs://big'); // a Blob or a stream is read as it is written
 */
export function save(model: SavableModel | ArtifactsToSave, target: Target, options?: SaveOptions & QuantizeOptions): Promise<SaveResult>;

/**
 * Loads a model as ModelArtifacts. Of files, a model JSON alone will do: it gives all but `weightData`, which `save` then misses. Its parts and sizes are checked, in Local Storage a checksum, too: a torn or cut one is an error, never wrong weights.
 * @throws TfpersistError ERR_NOT_FOUND, ERR_CORRUPT, ERR_HTTP_STATUS, ERR_NETWORK, ERR_MANIFEST, ERR_SIZE_MISMATCH, ...
 * @example const artifacts = await load('indexeddb://my-model');
 * @example const artifacts = await load('https://host/model.json', { cache: 'indexeddb://my-model' });
 * @example input.onchange = async () => { const artifacts = await load(input.files); };
 */
export function load(source: Source, options?: LoadOptions): Promise<ModelArtifacts>;

/**
 * Loads a model into TF.js: `tf.loadGraphModel` or `tf.loadLayersModel`, chosen by the artifacts.
 * Weights that the model JSON names must be there. What was saved with `trainableOnly` takes `{ strict: false }`.
 * @param tf the TF.js namespace.
 * @example const model = await loadModel(tf, 'indexeddb://my-model');
 */
export function loadModel<T extends TF>(tf: T, source: Source, options?: LoadOptions):
  Promise<T extends { loadLayersModel: (...args: any[]) => Promise<infer M> } ? M : any>;

/** The same, for a graph model: `loadModel<tf.GraphModel>(tf, url)`. */
export function loadModel<M extends { predict: Function }>(tf: TF, source: Source, options?: LoadOptions): Promise<M>;

/** Options of `listModels`. */
export interface ListOptions extends Options {
  /**
   * Read every model and mark all damage that there is, as `verify` does. Without it a listing marks what it sees without reading
   * the weights.
   */
  verify?: boolean;
}

/**
 * All models of all listable stores, by URL. A damaged entry is marked and does not hide the others; a whole store that
 * cannot be listed is the row `scheme://`, with its `damage`. A store that does not exist here is left out.
 * @example for (const [url, { dateSaved, weightDataBytes }] of Object.entries(await listModels())) { ... }
 */
export function listModels(options?: ListOptions): Promise<{ [url: string]: ListedModel }>;
/**
 * The models whose URL begins with `prefix`.
 * @param prefix a store, `indexeddb://`, or more: `indexeddb://cats/`. In Node a folder: `file:///models` and all folders below it that hold a model.json, also behind links (what is behind two links, once); without a prefix no folder is listed.
 * @example await listModels('file:///models');
 */
export function listModels(prefix: string, options?: ListOptions): Promise<{ [url: string]: ListedModel }>;

/**
 * Reads everything of a stored model and checks it as `load(url, { verify: true })` does, without keeping it: parts and sizes, in shards and Local
 * Storage checksums. TF.js's formats elsewhere have none, so changed bytes of the same number are not seen there.
 * @returns its row of a listing, with `damage` where there is some: the error that a load would reject with. Damage does not reject.
 * @throws TfpersistError ERR_NOT_FOUND
 * @example const { damage } = await verify('indexeddb://m'); if (damage) console.warn(damage.file, damage.expected, damage.received);
 */
export function verify(url: string, options?: Options): Promise<ListedModel>;

/** What `watchModels` tells. */
export interface ModelChange {
  /** The model. */
  url: string;
  /** A save, a copy and a move save their destination; a move then removes its source. */
  change: 'saved' | 'removed';
  /** Whether it was this page (or this worker) itself. */
  here: boolean;
}

/**
 * Calls back after every committed change that tfpersist makes in a store, in this page and in other tabs and workers of the origin (a BroadcastChannel
 * named `tfpersist`). What TF.js does itself is not heard, and a page that comes back out of the back/forward cache has not heard anything there:
 * list again at `pageshow`. Another tab's Local Storage may show the change a moment later (150 ms were seen).
 * @returns a function that ends it.
 * @example const stop = watchModels(({ url, change }) => refresh(url, change));
 */
export function watchModels(callback: (change: ModelChange) => void): () => void;

/** The room of this origin, as the engine tells it; what it does not tell is absent (Local Storage is in no engine's numbers but Firefox's). */
export interface StorageEstimate {
  /** Bytes in use. */
  usage?: number;
  /** Bytes allowed: nominal, no promise that the disk has them. */
  quota?: number;
  /** Whether the browser promises not to evict it. */
  persisted?: boolean;
}

/**
 * How much room there is. `{}` where the engine says nothing (Node, plain http).
 * @example const { usage, quota } = await storageEstimate();
 */
export function storageEstimate(): Promise<StorageEstimate>;

/**
 * Asks the browser not to evict what this origin stores when the disk gets full. Firefox asks the user, and this waits for the answer; call
 * it from a page: workers cannot.
 * @returns whether it promises; `false` as well where nobody can be asked.
 * @example if (!await persistStorage()) console.warn('models may be evicted');
 */
export function persistStorage(): Promise<boolean>;

/**
 * Copies a model; the destination is replaced as by `save`.
 * @returns the destination's info; with `quantize` also what that did.
 * @throws TfpersistError ERR_INVALID_ARGUMENT when both are the same, ERR_NOT_FOUND, ...
 * @example await copyModel('localstorage://m', 'indexeddb://m');
 */
export function copyModel(source: Source, destination: Target, options?: CopyOptions & QuantizeOptions & Omit<LoadOptions, 'cache' | 'verify' | 'stream' | 'joined'>): Promise<ModelArtifactsInfo & Pick<SaveResult, 'quantized'>>;

/**
 * Moves a model: it is stored at the destination, read back and compared, and only then removed from the source.
 * @returns the destination's info.
 * An abort is heard until the destination is committed; from then on the move is finished. Into Local Storage, which the engine writes to the disk
 * when it likes, rather copy, and remove later: a browser that is killed right after the move may have neither.
 * @throws TfpersistError before anything is read when one of both is not a store's URL; ERR_CORRUPT when the destination
 *   does not keep everything (the source stays). Local Storage and folders keep JSON, and of that TensorFlow.js's own fields: a model that holds more
 *   is refused before what is there is replaced.
 * @example await moveModel('localstorage://m', 'indexeddb://m');
 */
export function moveModel(source: string, destination: string, options?: CopyOptions): Promise<ModelArtifactsInfo>;

/**
 * Removes a model, also a damaged one.
 * @returns the info of what was removed.
 * @throws TfpersistError ERR_NOT_FOUND
 * @example await removeModel('indexeddb://m');
 */
export function removeModel(url: string, options?: Options): Promise<ListedModel>;

/**
 * Removes what a killed save has left of `opfs://` and of large models in `indexeddb://`, which otherwise happens after saves and removals.
 * Resolves with the bytes freed.
 * @example const bytes = await sweep();
 */
export function sweep(options?: Options): Promise<number>;

/**
 * An IOHandler for any route, to hand to TF.js.
 * @example await model.save(handler('indexeddb://m')); await tf.loadLayersModel(handler('indexeddb://m'));
 */
export function handler(where: Source, options?: SaveOptions & QuantizeOptions & LoadOptions): Required<IOHandler>;

/**
 * An IOHandler for a server, as tf.io's. It loads `url`, a model.json, and saves there in one multipart request, or with
 * `{ files: true }` as files of their own.
 * @example await save(model, browserHTTPRequest('https://host/upload', { method: 'PUT', headers: { authorization } }));
 */
export function browserHTTPRequest(url: string, options?: SaveOptions & QuantizeOptions & LoadOptions): Required<IOHandler>;
export { browserHTTPRequest as http };

/**
 * An IOHandler that loads files which a person picked or dropped, in any order: one model JSON, found by its content, and the weight
 * files that it names; or a folder, or a zip. All that is wrong with them is told in one error.
 * @throws TfpersistError ERR_MANIFEST, ERR_SIZE_MISMATCH with `problems`, ERR_CHECKSUM
 * @example const model = await tf.loadLayersModel(browserFiles(input.files));
 */
export function browserFiles(files: Files, options?: LoadOptions): Required<Pick<IOHandler, 'load'>>;

/** Options of `objectStore`. */
export interface ObjectStoreOptions extends Options, RequestOptions, QuantizeOptions {
  /** Gives the URL to PUT a file of that name and size (bytes) to, or more of the request. */
  sign: (name: string, bytes: number) => SignedRequest | Promise<SignedRequest>;
  /** Bytes of a weight file at most; default 4 MiB. */
  shardBytes?: number;
}
/** What `sign` gives: a URL, or a RequestInit with one. */
export type SignedRequest = string | ({ url: string } & RequestInit);

/**
 * An IOHandler that saves to an object store (S3, GCS, R2) by presigned URLs: weight files in parallel under names that contain a
 * checksum, model.json last, so that a reader sees the whole old model or the whole new one. Old weight files are left to you.
 * @example await save(model, objectStore({ sign: (name, bytes) => askMyServer(name, bytes) }));
 */
export function objectStore(options: ObjectStoreOptions): Required<Pick<IOHandler, 'save'>>;

/** An IOHandler that loads the given artifacts. */
export function fromMemory(artifacts: ModelArtifacts): Required<Pick<IOHandler, 'load'>>;

/** An IOHandler that hands what is saved to a function. */
export function withSaveHandler(save: (artifacts: ModelArtifacts) => Promise<SaveResult>): Required<Pick<IOHandler, 'save'>>;

/**
 * Registers our schemes that this TF.js does not know (`opfs://`, `memory://`, those of `registerStore`; in Node also `file://` and those that it
 * knows in browsers) with TF.js's own routers, so that `model.save('memory://m')` and `tf.loadLayersModel` work. `tf.io.listModels` and the like
 * only know TF.js's own: list, move and remove with ours.
 * @returns the schemes that were registered.
 * @example install(tf);
 */
export function install(tf: TF): string[];

/** Adds a router that is asked where a save may go; more than one answer for a URL is ERR_INVALID_ARGUMENT. */
export function registerSaveRouter(router: IORouter): void;
/** Adds a router that is asked where a load may come from. */
export function registerLoadRouter(router: IORouter): void;
/** The handlers that would save to this URL. */
export function getSaveHandlers(url: string | string[]): IOHandler[];
/** The handlers that would load from this URL. */
export function getLoadHandlers(url: string | string[], options?: LoadOptions): IOHandler[];

/**
 * Makes `scheme://` a store of your own, with every verb.
 * @throws TfpersistError ERR_INVALID_ARGUMENT when the scheme is taken or the store lacks a method.
 * @example registerStore('sqlite', { save, load, list, remove });
 */
export function registerStore(scheme: string, store: ModelStore): void;
