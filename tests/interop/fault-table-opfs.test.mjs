// The part of the fault table with models in files: every host call of every verb fails, one at a time.
import { inShards, inWorker, playAll } from '../lib/fault-players.mjs';
import { FEW_IN_SHARDS, IN_FILES, IN_SHARDS, isInFiles } from '../lib/fault-scenes.mjs';

playAll([
  ['chromium', 'shards in files', inShards, IN_SHARDS.filter(isInFiles)],
  ['chromium', 'shards in files, in a worker', inWorker, IN_FILES],
  ['firefox', 'shards in files', inShards, FEW_IN_SHARDS.filter(isInFiles)],
]);
