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
  /** The bytes of the weights. */
  weightData?: WeightData;
  /** Instead of `weightData`: the same bytes as a stream. */
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

/** What a store knows of a model without reading its weights. Sizes are bytes. */
export interface ModelArtifactsInfo {
  /** When it was saved: a Date in every store. */
  dateSaved: Date;
  /** Always `'JSON'`. */
  modelTopologyType: 'JSON' | 'GraphDef';
  /** UTF-8 bytes of the topology's JSON. */
  modelTopologyBytes?: number;
  /** UTF-8 bytes of the weight specs' JSON. */
  weightSpecsBytes?: number;
  /** Bytes of the weights. */
  weightDataBytes?: number;
}

/** A row of `listModels()`. */
export interface ListedModel extends ModelArtifactsInfo {
  /**
   * What is wrong with the entry, as far as a listing sees without reading the weights; a load checks everything.
   * `removeModel` removes it all the same.
   */
  damage?: TfpersistError;
}

/** What a save resolves with, after the model is committed. */
export interface SaveResult {
  /** Date and sizes of what was saved. */
  modelArtifactsInfo: ModelArtifactsInfo;
  /** The server's answers, of saves by HTTP. */
  responses?: Response[];
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
  /** Bytes so far. */
  loaded: number;
  /** Bytes in all, when known. */
  total?: number;
  /** `'read'` while the bytes come together, `'done'` once, after the commit. */
  phase: 'read' | 'done';
}

/** Options of every verb. An option that does not exist is ERR_INVALID_ARGUMENT. */
export interface Options {
  /** Stops the work: what was begun is undone, then the promise rejects with `signal.reason`. */
  signal?: AbortSignal | null;
  /** Fraction between 0 and 1, never falling; 1 is reported once, when the work is committed. */
  onProgress?: (fraction: number, detail: ProgressDetail) => void;
}

/** Options of `save`, `copyModel` and `moveModel`. */
export interface SaveOptions extends Options {
  /** Replace what is stored there (default), or reject with ERR_ALREADY_EXISTS. */
  overwrite?: boolean;
  /** Passed to `model.save`: only the trainable weights. */
  trainableOnly?: boolean;
  /** Passed to `model.save`: the optimizer's state, too. */
  includeOptimizer?: boolean;
  /** `'strict'`: resolve only when the bytes are on the disk. Default: as the engine does. Local Storage cannot. */
  durability?: 'default' | 'strict' | 'relaxed';
}

/** Options of `load` and `loadModel`: tf.io's LoadOptions and ours. */
export interface LoadOptions extends Options {
  /** For TF.js: whether the weights must match the layers exactly. */
  strict?: boolean;
  /** For TF.js: the URL is a TF Hub module. */
  fromTFHub?: boolean;
  /** For TF.js: send the weights to the backend as they come. */
  streamWeights?: boolean;
  /** For loads by HTTP. */
  requestInit?: RequestInit;
  /** For loads by HTTP. */
  fetchFunc?: typeof fetch;
  /** For loads by HTTP. */
  weightPathPrefix?: string;
  /** For loads by HTTP. */
  weightUrlConverter?: (weightFileName: string) => Promise<string>;
}

/** Where a model can go: `scheme://path`, or a handler. */
export type Target = string | IOHandler;
/** Where a model can come from: `scheme://path`, a handler, or the artifacts themselves. */
export type Source = string | IOHandler | ModelArtifacts;

/** What can go wrong, for a program. */
export type ErrorCode =
  | 'ERR_INVALID_URL' | 'ERR_UNKNOWN_SCHEME' | 'ERR_NOT_SUPPORTED' | 'ERR_NOT_FOUND' | 'ERR_ALREADY_EXISTS'
  | 'ERR_QUOTA_EXCEEDED' | 'ERR_HTTP_STATUS' | 'ERR_NETWORK' | 'ERR_MANIFEST' | 'ERR_SIZE_MISMATCH'
  | 'ERR_CHECKSUM' | 'ERR_CORRUPT' | 'ERR_INVALID_ARGUMENT' | 'ERR_STORAGE';

/** What every verb rejects with, except an abort, which rejects with the signal's own reason. */
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
  status?: number;
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
  /** What is stored, by path. */
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
 * Loads the WebAssembly, once. Optional: every verb awaits it by itself.
 * @example await init('https://cdn.example/tfpersist_bg.wasm');
 */
export default function init(source?: InitSource | Promise<InitSource>): Promise<void>;

/**
 * Saves a model and resolves when it is committed: the path then shows the new model, and after any failure the old one.
 * @param model a `tf.LayersModel`, a `tf.GraphModel`, or ModelArtifacts. It is not changed.
 * @param target `localstorage://path`, `indexeddb://path`, a registered scheme, or an IOHandler.
 * @throws TfpersistError ERR_QUOTA_EXCEEDED, ERR_INVALID_URL, ERR_UNKNOWN_SCHEME, ERR_MANIFEST, ERR_SIZE_MISMATCH, ...
 * @example const { modelArtifactsInfo } = await save(model, 'indexeddb://my-model');
 */
export function save(model: SavableModel | ModelArtifacts, target: Target, options?: SaveOptions): Promise<SaveResult>;

/**
 * Loads a model as ModelArtifacts, checked: a torn or damaged one is an error, never wrong weights.
 * @throws TfpersistError ERR_NOT_FOUND, ERR_CORRUPT, ...
 * @example const artifacts = await load('indexeddb://my-model');
 */
export function load(source: Source, options?: LoadOptions): Promise<ModelArtifacts>;

/**
 * Loads a model into TF.js: `tf.loadGraphModel` or `tf.loadLayersModel`, chosen by the artifacts.
 * @param tf the TF.js namespace.
 * @example const model = await loadModel(tf, 'indexeddb://my-model');
 */
export function loadModel<T extends TF>(tf: T, source: Source, options?: LoadOptions):
  Promise<T extends { loadLayersModel: (...args: any[]) => Promise<infer M> } ? M : any>;

/**
 * All models of all listable stores, by URL. A damaged entry is marked and does not hide the others; a whole store that
 * cannot be listed is the row `scheme://`, with its `damage`. A store that does not exist here is left out.
 * @example for (const [url, { dateSaved, weightDataBytes }] of Object.entries(await listModels())) { ... }
 */
export function listModels(options?: Options): Promise<{ [url: string]: ListedModel }>;

/**
 * Copies a model; the destination is replaced as by `save`.
 * @returns the destination's info.
 * @throws TfpersistError ERR_INVALID_ARGUMENT when both are the same, ERR_NOT_FOUND, ...
 * @example await copyModel('localstorage://m', 'indexeddb://m');
 */
export function copyModel(source: Source, destination: Target, options?: SaveOptions): Promise<ModelArtifactsInfo>;

/**
 * Moves a model: it is stored at the destination, read back and compared, and only then removed from the source.
 * @returns the destination's info.
 * An abort is heard until the destination is committed; from then on the move is finished.
 * @throws TfpersistError before anything is read when one of both is not a store's URL; ERR_CORRUPT when the destination
 *   does not keep everything (the source stays).
 * @example await moveModel('localstorage://m', 'indexeddb://m');
 */
export function moveModel(source: string, destination: string, options?: SaveOptions): Promise<ModelArtifactsInfo>;

/**
 * Removes a model, also a damaged one.
 * @returns the info of what was removed.
 * @throws TfpersistError ERR_NOT_FOUND
 * @example await removeModel('indexeddb://m');
 */
export function removeModel(url: string, options?: Options): Promise<ListedModel>;

/**
 * An IOHandler for any route, to hand to TF.js.
 * @example await model.save(handler('indexeddb://m')); await tf.loadLayersModel(handler('indexeddb://m'));
 */
export function handler(where: Source, options?: SaveOptions & LoadOptions): Required<IOHandler>;

/** An IOHandler that loads the given artifacts. */
export function fromMemory(artifacts: ModelArtifacts): Required<Pick<IOHandler, 'load'>>;

/** An IOHandler that hands what is saved to a function. */
export function withSaveHandler(save: (artifacts: ModelArtifacts) => Promise<SaveResult>): Required<Pick<IOHandler, 'save'>>;

/**
 * Registers our schemes that TF.js does not know (`memory://` and those of `registerStore`) with TF.js's own routers,
 * so that `model.save('memory://m')` works.
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
