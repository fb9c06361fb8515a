// A worker whose host can fail: it wraps the host, and only then imports the package. It plays one scene after the other.
import { play, playInShards } from './fault-browser.mjs';
import { install } from './faults.mjs';

const lib = await import('/pkg/index.js');
install();
self.onmessage = async ({ data: scene }) => {
  await lib.default(scene.isSharded ? { transfers: true } : undefined);
  postMessage(await (scene.isSharded ? playInShards : play)(lib, scene).then((rows) => ({ rows }), (error) => ({ error: String(error.stack ?? error) })));
};
postMessage('ready');
