// A process that does one thing to folders, to be killed. It writes a line when it begins and one when it is done.
// Its argument is JSON: { verb, urls, models, options }.
import fs from 'node:fs';
import { plain } from '../lib/artifacts.mjs';
import { PACKAGE } from '../lib/node.mjs';

const { verb, urls, models, options } = JSON.parse(process.argv[2]);
const { copyModel, listModels, moveModel, removeModel, save } = await import(PACKAGE);
const made = models.map((model) => plain(...model));
await listModels(urls[0]); // the wasm is there: what is timed is the work alone

const WORK = {
  save: () => save(made[0], urls[0], options),
  overwrite: () => save(made[0], urls[0], options),
  copy: () => copyModel(...urls, options),
  move: () => moveModel(...urls, options),
  remove: () => removeModel(urls[0]),
};
const tell = (line) => fs.writeSync(1, `${line}\n`); // at once, not when the event loop likes
tell('began');
await WORK[verb]().then(() => tell('resolved'), (error) => tell(`rejected: ${error.code}: ${error.message}`));
setInterval(() => {}, 1000); // it is ended by a kill, however late that comes
