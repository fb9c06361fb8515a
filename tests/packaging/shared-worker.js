// A shared worker of somebody's, which can start no other worker.
import { load, save } from '/node_modules/tfpersist/index.js';

async function work() {
  const weightData = new Uint8Array([1, 1, 0]).buffer;
  await save({ modelTopology: { a: 1 }, weightSpecs: [{ name: 'w', shape: [3], dtype: 'bool' }], weightData }, 'opfs://shared');
  const loaded = await load('opfs://shared');
  return { canStart: 'Worker' in globalThis, filed: [...new Uint8Array(await new Blob([loaded.weightData].flat()).arrayBuffer())] };
}

onconnect = ({ ports: [port] }) => work().then((value) => port.postMessage(value), (error) => port.postMessage(String(error?.stack ?? error)));
