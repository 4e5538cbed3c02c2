import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type CheckpointTensor, writeAll, writeHeader } from './checkpoints.js';

/** Sizes of configurations that grow, so that each layer is so many times as wide. */
const WIDTHS = ['hidden_size', 'intermediate_size', 'num_attention_heads', 'num_key_value_heads'] as const;
/** Files beside config.json and the weights. */
const OTHERS = ['tokenizer.json', 'tokenizer_config.json', 'generation_config.json'] as const;

interface Stored {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/**
 * A bundled Llama whose layers are `times` as wide, a square of two's powers, and that computes the very same: matrices
 * are padded with zeros, and the weights and epsilons of norms make up for the zeros among what they normalise. So it
 * guesses as well as the small one, and a step reads as much as that of a large model.
 */
export function writeWidened(source: string, times: number, dir: string): string {
  if (existsSync(join(dir, 'config.json'))) return dir;
  mkdirSync(dir, { recursive: true });
  const config = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8'));
  const file = readFileSync(join(source, 'model.safetensors'));
  const headerBytes = Number(file.readBigUInt64LE(0));
  const { __metadata__: _, ...tensors } = JSON.parse(file.toString('utf8', 8, 8 + headerBytes));
  const stored = Object.entries(tensors as Record<string, Stored>).map(
    ([hf, { dtype, shape, data_offsets }]) => {
      if (dtype !== 'BF16') throw new Error(`${hf} is bf16, found ${dtype}`);
      const bytes = file.subarray(8 + headerBytes + data_offsets[0], 8 + headerBytes + data_offsets[1]);
      return { hf, shape, wide: widenedShape(hf, shape, times), bytes };
    },
  );
  const plans: CheckpointTensor[] = stored.map(({ hf, wide: shape }) => ({ hf, shape, kind: 'matrix' }));
  const fd = openSync(join(dir, 'model.safetensors'), 'w');
  writeHeader(fd, plans);
  for (const { shape, wide, bytes } of stored)
    writeAll(fd, shape.length === 1 ? [widenedNorm(bytes, times)] : widenedRows(bytes, shape, wide));
  closeSync(fd);
  for (const name of OTHERS) copyFileSync(join(source, name), join(dir, name));
  const wide = Object.fromEntries(WIDTHS.map((key) => [key, config[key] * times]));
  const rms_norm_eps = config.rms_norm_eps / times;
  writeFileSync(join(dir, 'config.json'), JSON.stringify({ ...config, ...wide, rms_norm_eps }, null, 2));
  return dir;
}

/** Tokens stay as many as they are. */
const widenedShape = (hf: string, shape: readonly number[], times: number): number[] =>
  shape.map((size, axis) => (axis === 0 && hf.includes('embed_tokens') ? size : size * times));

function* widenedRows(bytes: Buffer, [rows = 0, columns = 0]: readonly number[], wide: readonly number[]) {
  const [wideRows = 0, wideColumns = 0] = wide;
  for (let row = 0; row < wideRows; row++) {
    const out = Buffer.alloc(2 * wideColumns);
    if (row < rows) bytes.copy(out, 0, 2 * columns * row, 2 * columns * (row + 1));
    yield out;
  }
}

/** What is normalised has the same sum of squares over `times` as many numbers: its root mean square is less. */
function widenedNorm(bytes: Buffer, times: number): Buffer {
  const out = Buffer.alloc(bytes.length * times);
  const exponents = Math.log2(times) / 2;
  // A bf16 has its exponent in the bits from 7 on.
  for (let at = 0; at < bytes.length; at += 2)
    out.writeUInt16LE(bytes.readUInt16LE(at) - (exponents << 7), at);
  return out;
}
