// A process that saves two models over each other, to be killed or to compete. It writes a line when it begins.
// Arguments as JSON: { lib: 'tfpersist' | 'tfjs-node', folder, models: arguments of `plain`, times }.
import { plain } from './artifacts.mjs';
import { PACKAGE, realFileSystem } from './node.mjs';

const { lib, folder, models, times = Infinity } = JSON.parse(process.argv[2]);

async function saver() {
  if (lib === 'tfjs-node') {
    const handler = new (realFileSystem())(folder);
    return (model) => handler.save(model);
  }
  const { save } = await import(PACKAGE);
  return (model) => save(model, `file://${folder}`);
}

const save = await saver();
const made = models.map((model) => plain(...model));
console.log('saving');
for (let i = 0; i < times; i++) await save(made[i % made.length]);
