// The table tests/fault-table.md: made of what the tests found, and compared with what they find.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

const TABLE = fileURLToPath(new URL('../fault-table.md', import.meta.url));
const INTRO = `# What a failure at each step does

For every call that a verb makes to its host, in order, the verb was run with exactly that call failing, and everything that is stored was compared
before and after, byte for byte. \`tests/interop/fault-table*.test.mjs\` (Chromium, in a page and in a worker; Firefox must give the same; Node for \`file://\`)
count the calls, run each failure and compare this file with what they find (in shards and files, some are asked at once: between two that write, their order does not count); \`UPDATE=1\` writes it.

Ways to fail: *exception*, the call throws or its promise rejects; *quota*, with QuotaExceededError or ENOSPC (of a file half is written);
*abort*, the transaction is aborted right after it; *request*, its answer is an error event; *lost*, it does its work and then rejects;
*signal*, the caller's signal fires at it. \`–\`: such a call cannot fail so.

Outcomes: *old intact*, every byte is as before and the verb rejects, with the code that is named or with the signal's own \`reason\`;
*new complete*, the verb resolves; *both whole* (a move between two stores), the copy is committed, the source is not removed, and the verb rejects.
After each failure, the next save succeeds, no lock is held, nobody holds the database open, no rejection was left unhandled.

Models *in shards* (\`indexeddb://\` with \`{ layout: 'sharded' }\`, and \`opfs://\`) are compared as what the catalog names: their rows, and every byte of the shards
in their pool, under the names that they have; loads are told to \`verify\`. Shards that no model names may stay after a failure, and so may the row of a save that
died: they cost room, nobody sees them, and the next sweep removes them. So after each failure and the next save, one sweep must leave no shard, no file, no row
and no save under way that is nobody's. The sweep of which nobody waits is held back until the verb has settled (its calls stand last, where they are counted:
below *remove* and *sweep*). A read, \`load\`, \`list\` or \`verify\`, changes nothing: *as it is*, or \`damage\`, the row that tells of it. In a page, files are written by a worker:
\`postMessage to the worker\` fails there as its answer would; a worker's own calls are under *in a worker*. That an older record stays when a newer model in shards has
replaced it does no harm: the newer one counts, and the next write removes it. An object store and the request to it are one step: in the catalog, the request alone is
aborted or interrupted. Moves between stores make the calls of a load, a save and a removal, so there only exceptions are tried. What is asked only once in a
page (which databases there are, the worker that writes files) is in \`once.test.mjs\`. Only Chromium makes Blobs of shards in IndexedDB.

What is named besides could not be helped. An empty database: it was made for the save. A file that *stays*: it was the call that should have removed
it that failed, or what would tell whether anybody needs it could not be read; a later save then finds it by what lies beside it (*.tmp*). Shards that stay on a server: they are named by their checksum, and no model.json
names them. What was *handed over* as a download cannot be taken back. *new complete, ERR_NETWORK*: the server has it, but its answer was lost.
`;

/** Consecutive calls of one function with the same outcomes share a row; all are named. */
function grouped(rows) {
  const groups = [];
  for (const [index, { name, cells }] of rows.entries()) {
    const [call, ...rest] = name.split(' ');
    const open = groups.at(-1);
    if (open && rest.length > 0 && open.call === call && JSON.stringify(open.cells) === JSON.stringify(cells)) {
      open.to = index;
      open.of.push(rest.join(' '));
    } else groups.push({ call, from: index, to: index, of: [rest.join(' ')], cells });
  }
  return groups;
}

/** The rows of a scene as Markdown; only kinds that occur have a column. */
export function markdown(rows, kinds) {
  const columns = kinds.filter((kind) => rows.some(({ cells }) => kind in cells));
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const body = grouped(rows).map(({ call, from, to, of, cells }) => line([
    from === to ? from + 1 : `${from + 1}–${to + 1}`, `${call} ${of.join(', ')}`.trim(), ...columns.map((kind) => cells[kind] ?? '–'),
  ]));
  return [line(['#', 'call', ...columns]), line(['--:', '---', ...columns.map(() => '---')]), ...body].join('\n');
}

/** Calls that write, or tell somebody to, or end what was written. */
const WRITES = /^(put|delete|removeEntry|createObjectStore|close|write|getSize|postMessage|\(complete\)|\(the last request)/;

/**
 * A table of `markdown` for comparison, where calls are made at once: they are answered in one order or another. A line for each call; what
 * writes stands where it stood, and only what is asked between two of those is sorted.
 */
export function settled(table) {
  const [head, , ...rows] = table.split('\n');
  const lines = rows.flatMap((row) => {
    const [number, name, ...cells] = row.split(' | ');
    const [call, ...rest] = name.split(' ');
    const each = number.includes('–') ? rest.join(' ').split(', ') : [rest.join(' ')];
    return each.map((of) => [`${call} ${of}`.trim(), ...cells].join(' | '));
  });
  const steps = [[]];
  for (const line of lines) if (WRITES.test(line)) steps.push([line], []); else steps.at(-1).push(line);
  return [head, ...steps.flatMap((step) => step.sort())].join('\n');
}

/** What must not be, with its place. */
export function faults(name, rows) {
  return rows.flatMap(({ name: call, cells }, index) => Object.entries(cells)
    .filter(([, word]) => word.startsWith('FAULT')).map(([kind, word]) => `${name}: ${kind} at ${index + 1}, ${call}: ${word}`));
}

/** The file as `Map(part -> Map(scene -> Markdown))`. */
function read() {
  const parts = new Map();
  if (!fs.existsSync(TABLE)) return parts;
  for (const part of fs.readFileSync(TABLE, 'utf8').split(/^## /m).slice(1)) {
    const [title, ...scenes] = part.split(/^### /m);
    parts.set(title.trim(), new Map(scenes.map((scene) => {
      const end = scene.indexOf('\n');
      return [scene.slice(0, end), scene.slice(end).trim()];
    })));
  }
  return parts;
}

export const UPDATE = Boolean(process.env.UPDATE);

/** What the table says of a scene, or '' when nothing. */
export const said = (part, scene) => read().get(part)?.get(scene) ?? '';
export const scenesOf = (part) => [...read().get(part)?.keys() ?? []];

/** Puts scenes of a part into the file, beside those that were not played now; `names` are all there are, in order. */
export function write(part, scenes, names) {
  const all = new Map([...read().get(part) ?? [], ...scenes]);
  const parts = read().set(part, new Map(names.filter((name) => all.has(name)).map((name) => [name, all.get(name)])));
  const text = [...parts].sort(([a], [b]) => a.localeCompare(b)).map(([title, scenes]) => `## ${title}\n\n${[...scenes].map(([name, rows]) => `### ${name}\n\n${rows}\n`).join('\n')}`);
  fs.writeFileSync(TABLE, `${INTRO}\n${text.join('\n')}`);
}
