// Downloads as a page sees them: links that are clicked, instead of files that arrive.
import { hex } from './bytes.mjs';

/** What `work` downloads, as `[name, type, hexadecimal bytes]`: the browser hears nothing of it. */
export async function clicked(work) {
  const links = [];
  HTMLAnchorElement.prototype.dispatchEvent = function dispatchEvent(event) {
    links.push([this.download, event.type, fetch(this.href)]);
  };
  try {
    await work();
    await new Promise((resolve) => { setTimeout(resolve, 50); }); // TF.js does not wait for its last click
  } finally {
    delete HTMLAnchorElement.prototype.dispatchEvent; // EventTarget's is there again
  }
  return Promise.all(links.map(async ([name, event, response]) => {
    if (event !== 'click') throw new Error(`a ${event}`);
    const blob = await (await response).blob();
    return [name, blob.type, hex(await blob.arrayBuffer())];
  }));
}
