// What the tests' functions find in the page as `T`.
import * as actors from './actors.mjs';
import * as artifacts from './artifacts.mjs';
import * as bytes from './bytes.mjs';
import * as cases from './cases.mjs';
import * as libraries from './libraries.mjs';
import * as links from './links.mjs';
import * as models from './models.mjs';
import * as picked from './picked.mjs';
import * as refused from './refused.mjs';
import * as reload from './reload.mjs';
import * as rows from './rows.mjs';
import * as shards from './shards.mjs';
import * as storage from './storage.mjs';
import * as sweeps from './sweeps.mjs';
import * as tabs from './tabs.mjs';

// The same bits everywhere: not the emulated GPU, whose sums come out a little different.
await globalThis.tf?.setBackend('cpu');
globalThis.T = { ...actors, ...artifacts, ...bytes, ...cases, ...libraries, ...links, ...models, ...picked, ...refused, ...reload, ...rows, ...shards, ...storage, ...sweeps, ...tabs };
T.faults = async () => ({ ...await import('./faults.mjs'), ...await import('./fault-browser.mjs') });
T.once = () => import('./once.mjs');
