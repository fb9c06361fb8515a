// A small server for saves and loads in Node: multipart bodies are parsed by the engine's own `formData()`.
import http from 'node:http';

/** Resolves with `{ url, posts, close }`; each row of `posts` is `{ method, headers, fields }`, and `answer` may be set. */
export function startReceiver() {
  const receiver = { posts: [], answer: () => [200, 'thanks'] };
  const server = http.createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray());
    const form = await new Response(body, { headers: { 'content-type': request.headers['content-type'] } }).formData();
    const fields = await Promise.all([...form].map(async ([field, file]) => (
      { field, name: file.name, type: file.type, bytes: Buffer.from(await file.arrayBuffer()) })));
    receiver.posts.push({ method: request.method, path: request.url, headers: request.headers, fields });
    const [status, text] = receiver.answer(receiver.posts.at(-1));
    response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(Object.assign(receiver, {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () => { server.close(); server.closeAllConnections(); },
  }))));
}
