// `tsc --strict` accepts a consumer that passes our values to TF.js and TF.js's to us, and refuses its mistakes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const folder = fileURLToPath(new URL('../types/', import.meta.url));
const typescript = path.dirname(createRequire(import.meta.url).resolve('typescript/package.json'));

function compile(project) {
  const { status, stdout } = spawnSync(process.execPath, [path.join(typescript, 'bin/tsc'), '-p', project], { encoding: 'utf8' });
  return { status, stdout };
}

test('a consumer compiles', () => {
  assert.deepEqual(compile(folder), { status: 0, stdout: '' });
});

test('our declarations compile without skipLibCheck', () => {
  assert.deepEqual(compile(path.join(folder, 'tsconfig.own.json')), { status: 0, stdout: '' });
});

test('control: without its excuses the consumer does not compile, at each of its mistakes', () => {
  const source = fs.readFileSync(path.join(folder, 'consumer.ts'), 'utf8');
  const mistakes = source.split('// @ts-expect-error').length - 1;
  const copy = fs.mkdtempSync(path.join(folder, '.mistakes-'));
  try {
    fs.writeFileSync(path.join(copy, 'consumer.ts'), source.replaceAll(/\/\/ @ts-expect-error.*/g, ''));
    fs.writeFileSync(path.join(copy, 'tsconfig.json'), JSON.stringify({
      extends: '../tsconfig.json', files: ['consumer.ts'],
      compilerOptions: { paths: { tfpersist: ['../../../js/index.d.ts'] } }, // they count from this file
    }));
    const { status, stdout } = compile(copy);
    assert.notEqual(status, 0);
    assert.equal(stdout.match(/error TS/g).length, mistakes, stdout);
    assert.ok(mistakes >= 9);
  } finally {
    fs.rmSync(copy, { recursive: true });
  }
});
