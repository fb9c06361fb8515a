// The entry for browsers and bundlers. Importing it does nothing: the wasm is fetched at the first call.
export {
  browserFiles, browserHTTPRequest, browserHTTPRequest as http, copyModel, fromMemory, getLoadHandlers, getSaveHandlers, handler,
  init as default, install, listModels, load, loadModel, moveModel, objectStore, registerLoadRouter, registerSaveRouter,
  registerStore, removeModel, save, sweep, verify, watchModels, withSaveHandler,
} from './core.js';
export { persistStorage, storageEstimate } from './origin.js';
