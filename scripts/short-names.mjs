// Names that the wasm and its glue share, `__wbg_get_2080c49015e35254`, become one or two letters: twice 150 of them, whose hashes do
// not compress, are 3 KB of the wasm and 2 KB of the glue after gzip.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';

/** Renames what the wasm of a build imports and exports, in it and in the glue that wasm-bindgen wrote for it. */
export function shortenNames(glue, wasm) {
  const answer = execFileSync('wasm-opt', ['--minify-imports-and-exports-and-modules', wasm, '-o', wasm], { encoding: 'utf8' });
  const { imports, exports } = JSON.parse(answer);
  fs.writeFileSync(glue, renamed(fs.readFileSync(glue, 'utf8'), imports, new Map(exports)));
}

/** `imports`: module, name, new name; all modules have become `a`. */
function renamed(text, imports, exported) {
  const own = new Map(imports.filter(([module]) => module.endsWith('_bg.js')).map(([, name, short]) => [name, short]));
  const direct = imports.filter(([module]) => !module.endsWith('_bg.js'));
  const take = (names, name) => names.get(name) ?? fail(`${name} is not in the wasm`);
  const modules = new Map([...text.matchAll(/^import \* as (\w+) from "(.+)"$/gm)].map(([, as, module]) => [module, as]));
  const lines = direct.map(([module, name, short]) => `${short}: ${take(modules, module)}.${name},`);
  let functions = 0;
  const short = text
    .replaceAll(/^ {8}(\w+): function/gm, (_, name) => (functions++, `${take(own, name)}: function`))
    .replaceAll(/\bwasm\.(\w+)/g, (_, name) => `wasm.${take(exported, name)}`)
    .replace(/( {4}return \{\n +__proto__: null,\n)( +"\..+": import\d+,\n)+/, '$1a: import0,\n')
    .replace('export { initSync, ', 'export { ') // nobody calls it: what it needs goes as well
    .replace('const import0 = {\n        __proto__: null,\n', (start) => start + lines.join('\n'));
  if (functions !== own.size || !short.includes('a: import0')) fail('the glue has changed');
  return short;
}

function fail(why) {
  throw new Error(`short-names: ${why}`);
}
