// The two libraries behind one face, so that every driver can be run on TF.js's own tf.io as its control.

function tfio() {
  const { io } = globalThis.tf;
  const only = (handlers, url) => {
    if (handlers.length !== 1) throw new Error(`${handlers.length} handlers for ${url}`);
    return handlers[0];
  };
  const saveHandler = (url) => (typeof url === 'string' ? only(io.getSaveHandlers(url), url) : url);
  const loadHandler = (url) => (typeof url === 'string' ? only(io.getLoadHandlers(url), url) : url);
  return {
    name: 'tf.io',
    save: (model, url, options) => (typeof model.save === 'function'
      ? model.save(url, options)
      : saveHandler(url).save(model)),
    load: (url) => loadHandler(url).load(),
    async loadModel(tf, url) {
      const { format } = await loadHandler(url).load();
      return format === 'graph-model' ? tf.loadGraphModel(url) : tf.loadLayersModel(url);
    },
    handler: (url) => ({
      save: (artifacts) => saveHandler(url).save(artifacts),
      load: () => loadHandler(url).load(),
    }),
    listModels: () => io.listModels(),
    copyModel: (from, to) => io.copyModel(from, to),
    moveModel: (from, to) => io.moveModel(from, to),
    removeModel: (url) => io.removeModel(url),
    browserFiles: (files) => io.browserFiles(files),
  };
}

let ours;

/** `'tf.io'` or `'tfpersist'`. */
export async function library(name) {
  if (name === 'tf.io') return tfio();
  ours ??= { name, ...await import('/pkg/index.js') };
  return ours;
}

const FIELDS = ['name', 'code', 'message', 'url', 'status', 'problems', 'scheme', 'known', 'operation', 'why', 'argument', 'file', 'expected',
  'received', 'needed', 'usage', 'quota'];

/** An exception as JSON. */
export function tell(error) {
  const told = { isError: error instanceof Error };
  for (const field of FIELDS) if (error?.[field] !== undefined) told[field] = error[field];
  if (error?.cause) told.cause = { name: error.cause.name, message: error.cause.message };
  return told;
}

/** What came of a work, as JSON when its value is: `{ value }` or `{ error }`; the latter also of one that never settles. */
export async function attempt(work, patience = 20000) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new DOMException(`not settled after ${patience} ms`, 'NeverSettled')), patience);
  });
  try {
    return { value: await Promise.race([work(), late]) };
  } catch (error) {
    return { error: tell(error) };
  } finally {
    clearTimeout(timer);
  }
}

/** As `attempt`, for a page; what is thrown where no promise hears of it is `{ uncaught }`, if nothing has settled half a second later. */
export async function attemptOrUncaught(work) {
  let hear;
  const uncaught = new Promise((resolve) => {
    hear = (event) => {
      event.preventDefault();
      setTimeout(resolve, 500, { uncaught: event.error.name });
    };
    addEventListener('error', hear);
  });
  try {
    return await Promise.race([attempt(work), uncaught]);
  } finally {
    removeEventListener('error', hear);
  }
}
