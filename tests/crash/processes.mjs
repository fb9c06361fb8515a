// Processes by their ids (Linux): a browser's whole family, and its end. A number that another process has meanwhile is left alone.
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Parent and start of a process; null when there is none, or only its exit code is left. */
function stat(pid) {
  try {
    const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
    return fields[0] === 'Z' ? null : { parent: Number(fields[1]), start: fields[19] };
  } catch {
    return null;
  }
}

/** A process and all below it, itself first: `[{ pid, start, args }]`. */
export function family(pid) {
  const children = new Map();
  const all = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
  for (const id of all) {
    const parent = stat(id)?.parent;
    children.set(parent, [...children.get(parent) ?? [], id]);
  }
  const found = [];
  for (const queue = [pid]; queue.length > 0;) {
    const id = queue.shift();
    queue.push(...children.get(id) ?? []);
    const known = stat(id);
    if (known) found.push({ pid: id, start: known.start, args: args(id) });
  }
  return found;
}

function args(pid) {
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split(/[\0 ]+/).filter(Boolean);
  } catch {
    return [];
  }
}

const lives = ({ pid, start }) => stat(pid)?.start === start;

/** kill -9, in this order; resolves when all are gone. */
export async function kill(victims) {
  for (const victim of victims.filter(lives)) {
    try {
      process.kill(victim.pid, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') throw error;
    }
  }
  for (let i = 0; victims.some(lives); i++) {
    if (i === 3000) throw new Error(`killed, but there: ${victims.filter(lives).map((v) => v.pid)}`);
    await sleep(10);
  }
}
