// The part of the fault table with models in shards, in IndexedDB: every host call of every verb fails, one at a time.
import { inShards, playAll } from '../lib/fault-players.mjs';
import { FEW_IN_SHARDS, IN_SHARDS, isInFiles } from '../lib/fault-scenes.mjs';

playAll([
  ['chromium', 'shards in IndexedDB', inShards, IN_SHARDS.filter((scene) => !isInFiles(scene))],
  ['firefox', 'shards in IndexedDB', inShards, FEW_IN_SHARDS.filter((scene) => !isInFiles(scene))],
]);
