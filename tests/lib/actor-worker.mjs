// `act` in a module worker.
import { act } from './actors.mjs';
import { attempt } from './libraries.mjs';

onmessage = async ({ data }) => postMessage(await attempt(() => act(data), 120000));
