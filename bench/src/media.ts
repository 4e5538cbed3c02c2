import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import sharp from 'sharp';
import { loadModels } from '../../dist/src/models/get-model.js';
import { type CheckpointTensor, writeHuggingFace } from './checkpoints.js';
import { newOurs, type PictureTimes } from './driver.js';
import { type SuiteSettings, tensorsOf } from './families.js';
import { median, type Row, Sample } from './results.js';
import type { Config } from './widths.js';

const SIDE = 1024;
const FORMATS = ['bf16', 'w8a8_dynamic'] as const;
const IMAGE = 151_655;
const VISION = { depth: 32, embed_dim: 1280, hidden_size: 1536, num_heads: 16, mlp_ratio: 4 };
const AREA = 4;

/** Qwen2-VL-2B as it is published; its weights are random. */
const QWEN2_VL_2B: Config = {
  model_type: 'qwen2_vl',
  architectures: ['Qwen2VLForConditionalGeneration'],
  hidden_size: 1536,
  intermediate_size: 8960,
  num_hidden_layers: 28,
  num_attention_heads: 12,
  num_key_value_heads: 2,
  max_position_embeddings: 32_768,
  vocab_size: 151_936,
  rms_norm_eps: 1e-6,
  rope_theta: 1_000_000,
  rope_scaling: { type: 'mrope', mrope_section: [16, 24, 24] },
  hidden_act: 'silu',
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  bos_token_id: 151_643,
  eos_token_id: 151_645,
  vision_start_token_id: 151_652,
  vision_end_token_id: 151_653,
  image_token_id: IMAGE,
  video_token_id: 151_656,
  vision_config: { ...VISION, in_chans: 3, patch_size: 14, spatial_merge_size: 2, temporal_patch_size: 2 },
};
const PICTURES = {
  image_processor_type: 'Qwen2VLImageProcessor',
  size: { shortest_edge: 3136, longest_edge: 12_845_056 },
  ...{ patch_size: 14, temporal_patch_size: 2, merge_size: 2 },
  ...{ image_mean: [0.48145466, 0.4578275, 0.40821073], image_std: [0.26862954, 0.26130258, 0.27577711] },
};
/** A question about a picture: what a chat template writes around it is as long. */
const PROMPT = [...Array.from({ length: 14 }, (_, i) => 1000 + i), 151_652, IMAGE, 151_653, 2000, 2001, 2002];

/** Writes a photograph's worth of detail: waves under noise. */
async function writePicture(folder: string): Promise<string> {
  const data = new Uint8Array(SIDE * SIDE * 3);
  let state = 1;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    const [x, y] = [Math.floor(i / 3) % SIDE, Math.floor(i / 3 / SIDE)];
    data[i] = 128 + 90 * Math.sin(x / 37 + (i % 3)) * Math.cos(y / 53) + (state >>> 26);
  }
  const file = join(folder, 'picture.jpg');
  await sharp(data, { raw: { width: SIDE, height: SIDE, channels: 3 } })
    .jpeg({ quality: 90 })
    .toFile(file);
  return file;
}

/** transformers in a Python that the user named, which answers a line with the milliseconds to the first token. */
class TransformersProcess {
  private readonly child: ChildProcess;
  private readonly ask: () => void;
  private readonly lines: AsyncIterator<string>;

  constructor(python: string, model: string, picture: string, threads: number) {
    const script = join(import.meta.dirname, '../src/first-token-of-transformers.py');
    const args = [script, model, picture, String(threads), PROMPT.join(',')];
    const child = spawn(python, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child = child;
    this.ask = () => child.stdin.write('\n');
    this.lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  }

  async firstToken(): Promise<number> {
    this.ask();
    const { value, done } = await this.lines.next();
    if (done) throw new Error('transformers ended');
    return Number(value);
  }

  stop(): void {
    this.child.kill();
  }
}

/** Operations of the encoder for so many patches: its products with weights, and attention over all of them. */
function operations(tensors: readonly CheckpointTensor[], patches: number): number {
  const products = tensors
    .filter(({ hf, kind }) => hf.startsWith('visual.') && kind === 'matrix')
    .reduce((sum, { hf, shape }) => {
      const rows = hf.includes('merger') ? patches / AREA : patches;
      return sum + 2 * rows * shape.reduce((count, size) => count * size, 1);
    }, 0);
  return products + 4 * patches * patches * VISION.embed_dim * VISION.depth;
}

/**
 * A picture of a million pixels with the shapes of Qwen2-VL-2B: the encoder beside products of AMX tiles in bf16, and the
 * time from the file's bytes to the first token, beside transformers in turns where `--peer transformers=PYTHON` names one.
 */
export async function benchMedia({
  threads,
  rounds,
  folder,
  pool,
  log,
  only,
  peer,
}: SuiteSettings): Promise<Row[]> {
  await loadModels();
  const tensors = tensorsOf(QWEN2_VL_2B, new Set());
  const model = writeHuggingFace(join(folder, 'qwen2-vl-2b'), tensors, QWEN2_VL_2B, pool);
  writeFileSync(join(model, 'preprocessor_config.json'), JSON.stringify(PICTURES));
  const picture = await writePicture(folder);
  const transformers =
    peer === undefined ? undefined : new TransformersProcess(peer, model, picture, threads);
  const rows: Row[] = [];
  try {
    await transformers?.firstToken();
    for (const format of FORMATS.filter((name) => name.includes(only))) {
      const engine = newOurs();
      try {
        log(`qwen2-vl-2b ${format}`);
        const quantize = format === 'bf16' ? {} : { quantize: format };
        await engine.call('load', { model, threads, context: 2048, sequences: 1, ...quantize });
        const see = () => engine.call('see', { model, picture, prompt: PROMPT });
        // The first of a size plans and takes memory.
        await see();
        const ours: PictureTimes[] = [];
        const [theirs, bounds]: [number[], number[]] = [[], []];
        for (let round = 0; round < rounds; round++) {
          bounds.push((await engine.call('limits', { threads })).flops / 1e12);
          ours.push(await see());
          if (transformers) theirs.push(await transformers.firstToken());
        }
        const name = `qwen2-vl-2b ${format}`;
        const size = `${SIDE} x ${SIDE}`;
        const rate = ({ encodeMs, patches }: PictureTimes) => operations(tensors, patches) / encodeMs / 1e9;
        rows.push(
          {
            ...{ model: name, what: `encoder, ${size}`, unit: 'TFLOP/s' },
            ...{ sample: new Sample(ours.map(rate), undefined, 'more'), bound: median(bounds) },
          },
          {
            ...{ model: name, what: `file to patches, ${size}`, unit: 'ms' },
            sample: new Sample(ours.map(({ readMs }) => readMs)),
          },
          {
            ...{ model: name, what: `first token, ${size}`, unit: 'ms' },
            sample: new Sample(
              ours.map(({ firstTokenMs }) => firstTokenMs),
              transformers && theirs,
            ),
          },
        );
      } finally {
        await engine.stop();
      }
    }
  } finally {
    transformers?.stop();
  }
  return rows;
}
