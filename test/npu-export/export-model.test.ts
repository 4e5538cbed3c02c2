import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import yargs from 'yargs';
import type { Command } from '../../src/cli/command.js';
import { exportCommand } from '../../src/cli/export.js';
import type { NestedExport } from '../../src/graph/nested-graph.js';
import { type ExportOptions, exportModel, type Manifest, type ManifestPart } from '../../src/index.js';
import { openModel } from '../../src/runner/open-model.js';
import { quantizeCheckpoint } from '../../src/runner/quantize-checkpoint.js';
import { ropeTable } from '../../src/step-inputs/rotary/rope-table.js';
import { readTensor } from '../../src/weights/read-tensor.js';
import { CODED_FLOATS } from '../oracle/coded-floats.js';
import { encoderCases, encoderCheckpoint } from '../oracle/encoders.js';
import { familyCases, familyCheckpoint } from '../oracle/families.js';
import { ORACLE_DIR } from '../oracle/fixtures.js';
import { PUBLISHERS, type Publisher, publish, storeOf } from '../oracle/published.js';
import { visionCases, visionCheckpoint } from '../oracle/vision.js';
import { safetensorsBytes } from '../weights/safetensors-writer.js';

const FAMILIES = ['llama', 'llama-tied', 'mistral', 'qwen2', 'qwen3'] as const;
const KINDS = ['prefill', 'decode', 'splitfuse'];
const PROGRAM = join(import.meta.dirname, '../../../npu');
const MODELS = join(import.meta.dirname, '../../src/models');

let folder = '';
let count = 0;

interface Exported {
  readonly output: string;
  readonly manifest: Manifest;
  readonly graphs: readonly NestedExport[];
}

/** Exports a fixture to a new directory. */
async function exported(modelPath: string, options: Partial<ExportOptions> = {}): Promise<Exported> {
  count++;
  const output = join(folder, `${count}`);
  await exportModel({ modelPath, output, ...options });
  const json = <T>(name: string): T => JSON.parse(readFileSync(join(output, name), 'utf8'));
  const manifest = json<Manifest>('manifest.json');
  const graphs = KINDS.map((kind) => json<NestedExport>(manifest.graphs[kind] ?? ''));
  return { output, manifest, graphs };
}

const fixture = (name: string): string => join(ORACLE_DIR, name);

const failure = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => '',
    (error: Error) => error.message,
  );

/** The bytes of parts that are taken as they lie. */
const bytesOf = (parts: readonly ManifestPart[], directory: string): Buffer =>
  Buffer.concat(
    parts.map((part) => {
      if (!('file' in part) || part.dtype !== 'float')
        throw new Error(`not a part of f32: ${JSON.stringify(part)}`);
      const length = part.shape.reduce((a, b) => a * b, 4);
      return readFileSync(join(directory, part.file)).subarray(part.offset, part.offset + length);
    }),
  );

const STUB = readFileSync(join(import.meta.dirname, '../../../tools/npu-stub/stub_checks.py'), 'utf8');

/** The strings of an operation's param, at any depth. */
const stringsOf = (value: unknown): string[] =>
  typeof value === 'string' ? [value] : Object.values(value ?? {}).flatMap(stringsOf);

/** The stub against which exported programs run has each operation and each enum string that they use. */
function requireKnownToStub(graphs: readonly NestedExport[]): void {
  const nodes = graphs.flatMap((each) => each.graphs).flatMap((graph) => graph.nodes);
  const used = nodes.flatMap((node) => ('type' in node ? [node.type, ...stringsOf(node.param)] : []));
  for (const name of new Set(used.map((each) => each.replace(/^(ACTIVATION|ELEWISE)_/, ''))))
    expect(STUB.includes(`"${name}"`) || STUB.includes(`_${name}"`), `"${name}" in tools/npu-stub`).to.equal(
      true,
    );
}

/** Each input of each graph is a weight whose bytes are in a file, a step's input with a recipe, or a cache; all are read. */
function requireComplete({ manifest, graphs }: Exported, checkpoint: string): void {
  requireKnownToStub(graphs);
  const weights = Object.keys(manifest.weights);
  const caches = manifest.caches.flatMap(({ key, value }) => (value === undefined ? [key] : [key, value]));
  const read = new Set<string>();
  graphs.forEach((graph, index) => {
    const step = manifest.step_inputs[KINDS[index] ?? ''] ?? {};
    const known = [...weights, ...caches, ...Object.keys(step)];
    expect(new Set(known).size).to.equal(known.length);
    expect(known).to.include.members(Object.keys(graph.inputs));
    for (const [name, { dtype, shape, recipe }] of Object.entries(step)) {
      expect(graph.inputs).to.have.property(name);
      expect(recipe, name).to.have.property('made');
      if (recipe?.made === 'mask') expect(manifest.mask_values).to.have.property(recipe.reader);
      expect([dtype, shape.length]).to.deep.equal([
        graph.inputs[name]?.dtype,
        graph.inputs[name]?.shape.length,
      ]);
    }
    for (const name of [...weights, ...caches].filter((each) => each in graph.inputs)) {
      read.add(name);
      if (!(name in manifest.weights)) continue;
      const { dtype, shape } = graph.inputs[name] as { dtype: string; shape: readonly number[] };
      expect(manifest.weights[name]).to.deep.include({ dtype, shape });
    }
  });
  expect([...read]).to.have.members([...weights, ...caches]);
  for (const [name, { shape, parts }] of Object.entries(manifest.weights)) {
    const numbers = parts.map(numbersOf).reduce((sum, count) => sum + count, 0);
    expect(numbers, name).to.equal(product(shape));
    for (const part of parts) {
      if (!('file' in part)) continue;
      const end = part.offset + product(part.shape) * (part.dtype === 'float' ? 4 : 2);
      expect(end, name).to.be.at.most(statSync(join(checkpoint, part.file)).size);
    }
  }
}

const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);

/** Rows may be chosen, or repeat. */
function numbersOf(part: ManifestPart): number {
  if (!('file' in part) || part.row_order === undefined) return product(part.shape);
  const [rows = 1] = part.transposed ? part.shape.toReversed() : part.shape;
  return (product(part.shape) / rows) * part.row_order.length;
}

/** A llama of one layer with two heads of this size; its weights are zeros. */
function writeWideHeads(path: string, headDim: number): string {
  const shapes = {
    'model.embed_tokens.weight': [64, 64],
    'model.norm.weight': [64],
    'lm_head.weight': [64, 64],
    'model.layers.0.input_layernorm.weight': [64],
    'model.layers.0.post_attention_layernorm.weight': [64],
    'model.layers.0.self_attn.q_proj.weight': [2 * headDim, 64],
    'model.layers.0.self_attn.k_proj.weight': [headDim, 64],
    'model.layers.0.self_attn.v_proj.weight': [headDim, 64],
    'model.layers.0.self_attn.o_proj.weight': [64, 2 * headDim],
    'model.layers.0.mlp.gate_proj.weight': [64, 64],
    'model.layers.0.mlp.up_proj.weight': [64, 64],
    'model.layers.0.mlp.down_proj.weight': [64, 64],
  };
  const config = {
    model_type: 'llama',
    hidden_size: 64,
    intermediate_size: 64,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    head_dim: headDim,
    max_position_embeddings: 256,
    vocab_size: 64,
  };
  const tensors = Object.entries(shapes).map(([name, shape]) => ({
    ...{ name, dtype: 'BF16', shape },
    data: new Uint8Array(2 * product(shape)),
  }));
  mkdirSync(path);
  writeFileSync(join(path, 'config.json'), JSON.stringify(config));
  writeFileSync(join(path, 'model.safetensors'), safetensorsBytes(tensors));
  return path;
}

/** Cases that ask for what ATB cannot say, and the key of ours that says it. */
const BEYOND_ATB = new Map([
  ['gemma2', 'softcap is an extension key'],
  ['gpt_oss', 'hasSinks is an extension key'],
  ['paligemma-gemma2', 'softcap is an extension key'],
  ['step3p5', 'limit is an extension key'],
  ['step3p7', 'limit is an extension key'],
  ['vaultgemma-bounded', 'softcap is an extension key'],
  ...familyCases
    .filter((name) => /^(flint|granite(moe)?_swa|mimo_v2_flash)/.test(name))
    .map((name) => [name, 'hasSinks is an extension key'] as const),
  ...[...familyCases, ...visionCases]
    .filter((name) =>
      /^(bailing_hybrid|bamba|falcon_h1|falcon_mamba|glm5_next|granitemoehybrid|jamba|kimi_linear|lara_mini|lfm[23]|mamba|minicpm(_ocr|v4)|nemotron_h|olmo_hybrid|qwen3_5|qwen3_next|qwen4_exp|recurrent_gemma|zamba)/.test(
        name,
      ),
    )
    .map((name) => [name, 'CausalConv1d is an extension op'] as const),
  ...familyCases
    .filter((name) => /^minimax($|-)/.test(name))
    .map((name) => [name, 'SelectiveScan is an extension op'] as const),
  ...familyCases
    .filter((name) => /^(axk2|deepseek_v32|glm_moe_dsa|hy_v4|mistral_large4)/.test(name))
    .map((name) => [name, 'LightningIndexer is an extension op'] as const),
  ...[...familyCases, ...visionCases]
    .filter((name) => /^minimax_m3/.test(name))
    .map((name) => [name, 'LightningIndexer is an extension op'] as const),
  ...familyCases
    .filter((name) => /^deepseek_v4/.test(name))
    .map((name) => [name, 'HyperWeights is an extension op'] as const),
]);

describe('exporting a model for an NPU', () => {
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-export-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const method of ['ct-pack-4', 'msmodelslim-8', 'bnb-nf4']) {
    it(`is refused for what the programs do not unpack: ${method}`, async () => {
      const folders = { published: join(folder, method), dequantized: join(folder, `${method}-floats`) };
      const store = CODED_FLOATS[method] ?? storeOf(PUBLISHERS[method] as Publisher);
      await publish(join(ORACLE_DIR, 'llama'), store, folders);
      const modelPath = folders.published;
      const error = await failure(
        exportModel({ modelPath, output: join(folder, `of-${method}`), dtype: 'bf16' }),
      );
      expect(error).to.match(/^WEIGHT_QUANT_EXPORT: .*packed as another tool packs it/);
    });
  }

  for (const [headDim, blockSize] of [
    [128, 128],
    [160, 96],
    [256, 64],
  ] as const) {
    it(`takes the largest blocks that ATB has for heads of ${headDim}`, async () => {
      const modelPath = writeWideHeads(join(folder, `heads-${headDim}`), headDim);
      const { manifest } = await exported(modelPath, { dtype: 'bf16' });
      expect(manifest.block_size).to.equal(blockSize);
      const larger = { modelPath, output: join(folder, `larger-${headDim}`), blockSize: blockSize + 16 };
      const refused = await failure(exportModel({ ...larger, dtype: 'bf16' }));
      expect(refused).to.match(/^GRAPH_ILLEGAL: /);
    });
  }

  for (const family of FAMILIES) {
    it(`says of ${family} where every input of every graph comes from, once`, async () => {
      requireComplete(await exported(fixture(family)), fixture(family));
    });
  }

  for (const [name, problem] of BEYOND_ATB)
    it(`refuses what ATB cannot say: ${name}`, async () => {
      const checkpoint = visionCases.includes(name) ? visionCheckpoint(name) : familyCheckpoint(name);
      try {
        const refused = await failure(exported(checkpoint.path));
        expect(refused).to.match(new RegExp(`^GRAPH_ILLEGAL: .*${problem}`));
      } finally {
        checkpoint.remove();
      }
    });

  for (const name of familyCases.filter((each) => !BEYOND_ATB.has(each))) {
    it(`says of ${name} where every input of every graph comes from, once`, async () => {
      const checkpoint = familyCheckpoint(name);
      try {
        requireComplete(await exported(checkpoint.path), checkpoint.path);
      } finally {
        checkpoint.remove();
      }
    });
  }

  for (const name of visionCases.filter(
    (each) => !BEYOND_ATB.has(each) && !/^(mllama|voxtral_realtime)/.test(each),
  ))
    it(`says of the text of ${name} where every input of every graph comes from, once`, async () => {
      const checkpoint = visionCheckpoint(name);
      try {
        const files = await exported(checkpoint.path);
        requireComplete(files, checkpoint.path);
        expect(Object.keys(files.manifest.graphs)).to.deep.equal(KINDS);
        const { inserted_rows: rows, embedding_rows: order } = files.manifest.step_inputs.prefill ?? {};
        expect([rows?.shape[0], rows?.recipe]).to.deep.equal(['inserted', { made: 'inserted_rows' }]);
        expect(order).to.deep.equal({
          dtype: 'int64',
          shape: ['tokens'],
          recipe: { made: 'embedding_rows' },
        });
        expect(files.manifest.step_inputs.decode).not.to.have.any.keys(
          'inserted_rows',
          'height_position_ids',
        );
      } finally {
        checkpoint.remove();
      }
    });

  it('gives what a model of pictures adds behind layers, and tables of one axis each', async () => {
    const checkpoint = visionCheckpoint('qwen3_vl');
    try {
      const { manifest } = await exported(checkpoint.path);
      const step = manifest.step_inputs.splitfuse ?? {};
      expect(step.deep_rows_1).to.deep.include({ shape: ['1 + inserted', 64] });
      expect(step.deep_rows_1?.recipe).to.deep.equal({ made: 'deep_rows', level: 1 });
      expect(step.width_position_ids?.recipe).to.deep.equal({ made: 'axis_positions', axis: 'width' });
      const kept = ['time', 'height', 'width'].map((axis) => {
        const recipe = step[`cos_table_${axis}`]?.recipe;
        return recipe?.made === 'rotary' ? recipe.kept : undefined;
      });
      expect(kept).to.deep.equal([
        [0, 3, 6, 7],
        [1, 4],
        [2, 5],
      ]);
    } finally {
      checkpoint.remove();
    }
  });

  for (const [name, reason] of [
    ['mllama', 'fills no caches of pictures'],
    ['voxtral_realtime', 'adds nothing to the words that it generates'],
  ] as const)
    it(`refuses text that reads what the program does not give it: ${name}`, async () => {
      const checkpoint = visionCheckpoint(name);
      try {
        expect(await failure(exported(checkpoint.path))).to.match(
          new RegExp(`^MODEL_EXPORT_UNSUPPORTED: .*"${name}" is not exported, because .* ${reason}`),
        );
      } finally {
        checkpoint.remove();
      }
    });

  it('refuses encoders, because the program that goes with an export generates text', async () => {
    const checkpoint = encoderCheckpoint('bert');
    try {
      expect(await failure(exported(checkpoint.path))).to.match(
        /^MODEL_EXPORT_UNSUPPORTED: .*"bert" is not exported, because .* encodes it; .* one each of encode$/,
      );
    } finally {
      checkpoint.remove();
    }
  });

  it('has every family among these', () => {
    const known = [...FAMILIES, ...familyCases, ...encoderCases, ...visionCases].map(
      (name) => name.split('-')[0],
    );
    const entries = readdirSync(MODELS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const families = entries.map(({ name }) => name).filter((name) => name !== 'base');
    expect(known).to.include.members(families);
  });

  it('gives weights as parts of files, in their order of packing', async () => {
    const { manifest } = await exported(fixture('llama'));
    const { model } = await openModel({ modelPath: fixture('llama') });
    for (const weight of model.getWeights()) {
      const { data } = await readTensor(weight);
      const expected = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      const found = bytesOf(manifest.weights[weight.name]?.parts ?? [], fixture('llama'));
      expect(found.equals(expected), weight.name).to.equal(true);
    }
    const packed = manifest.weights['model.layers.0.self_attn.query_key_value.weight'];
    expect(packed?.parts.map(({ shape }) => shape[0])).to.deep.equal([64, 32, 32]);
  });

  it('names the sizes of steps', async () => {
    const { manifest } = await exported(fixture('mistral'));
    const shapes = (kind: string) =>
      Object.fromEntries(
        Object.entries(manifest.step_inputs[kind] ?? {}).map(([name, { shape }]) => [name, shape]),
      );
    expect(shapes('decode')).to.deep.include({
      input_ids: ['sequences'],
      block_tables: ['sequences', 'blocks'],
      sliding_attention_mask: ['sequences', 1, 'context'],
    });
    expect(shapes('splitfuse')).to.deep.include({
      slots_mapping: ['tokens'],
      q_len: ['sequences'],
      sliding_attention_mask: ['context', 'context'],
      cos_table: ['positions', 32],
    });
  });

  it('gives masks by the operation that reads them, and their values by dtype', async () => {
    const of = async (dtype: 'bf16' | 'f16') => (await exported(fixture('qwen2'), { dtype })).manifest;
    const manifest = await of('bf16');
    expect(manifest.mask_values).to.deep.equal({
      SelfAttention: 1,
      LatentAttention: 1,
      PagedAttention: -10000,
    });
    expect(Object.values((await of('f16')).mask_values)).to.deep.equal([-65504, -65504, -65504]);
    const recipe = (kind: string, name: string) => manifest.step_inputs[kind]?.[name]?.recipe;
    expect(recipe('prefill', 'attention_mask')).to.deep.equal({
      made: 'mask',
      form: 'triangle',
      reader: 'SelfAttention',
    });
    expect(recipe('splitfuse', 'attention_mask')).to.deep.equal({
      made: 'mask',
      form: 'positions',
      reader: 'PagedAttention',
    });
    expect(recipe('decode', 'sliding_attention_mask')).to.deep.include({
      form: 'last_positions',
      reader: 'PagedAttention',
    });
    expect(manifest.step_inputs.decode).not.to.have.property('attention_mask');
  });

  it('gives rotary tables as frequencies from which they can be made', async () => {
    const { manifest } = await exported(fixture('llama'));
    const recipe = manifest.step_inputs.prefill?.cos_table?.recipe;
    if (recipe?.made !== 'rotary' || recipe.frequencies.by !== 'position')
      throw new Error('no table by position');
    const { config } = await openModel({ modelPath: fixture('llama') });
    const { rope } = config as unknown as { rope: Parameters<typeof ropeTable>[0] };
    const expected = ropeTable(rope, [7], 'f32').cos.data as Float32Array;
    const { inverse } = recipe.frequencies;
    const half = inverse.map((value) =>
      Math.fround(Math.cos(Math.fround(7 * value)) * recipe.attentionFactor),
    );
    expect([...half, ...half]).to.deep.equal([...expected]);
    expect(manifest.step_inputs.prefill?.sin_table?.recipe).to.deep.include({ made: 'rotary', part: 'sin' });
  });

  it('gives rotary tables that depend on lengths as the rule that they follow', async () => {
    const copy = join(folder, 'longrope');
    cpSync(fixture('llama'), copy, { recursive: true });
    const { rope_parameters: _, ...config } = JSON.parse(readFileSync(join(copy, 'config.json'), 'utf8'));
    const factors = (value: number) => Array.from({ length: 8 }, () => value);
    writeFileSync(
      join(copy, 'config.json'),
      JSON.stringify({
        ...config,
        max_position_embeddings: 256,
        original_max_position_embeddings: 64,
        rope_scaling: { rope_type: 'longrope', short_factor: factors(1), long_factor: factors(2) },
      }),
    );
    const { manifest } = await exported(copy);
    expect(manifest.step_inputs.decode?.position_ids?.recipe).to.deep.equal({ made: 'row_numbers' });
    const recipe = manifest.step_inputs.decode?.cos_table?.recipe;
    if (recipe?.made !== 'rotary' || recipe.frequencies.by !== 'long_or_short')
      throw new Error('no rule by length');
    const { short, long, originalMaxPositionEmbeddings } = recipe.frequencies;
    expect(originalMaxPositionEmbeddings).to.equal(64);
    expect(long.map((value, i) => (short[i] as number) / value)).to.deep.equal(factors(2));
  });

  it('gives integers, their scales and offsets, and an embedding that is tied to them', async () => {
    const output = join(folder, 'quantised');
    await quantizeCheckpoint({ input: fixture('llama-tied'), output, quantize: 'w8a16' });
    const { manifest } = await exported(output);
    const { weights } = manifest;
    expect(weights['lm_head.weight']).to.deep.include({ dtype: 'int8', shape: [131, 64] });
    expect(weights['lm_head.weight_scale']).to.deep.include({ dtype: 'bf16', shape: [131, 1] });
    expect(weights['lm_head.weight_offset']).to.deep.equal({
      dtype: 'bf16',
      shape: [131, 1],
      parts: [{ value: 0, dtype: 'float', shape: [131, 1] }],
    });
    const embedding = weights['model.embed_tokens.weight'];
    expect(embedding).to.deep.include({ dtype: 'bf16', row_scales: 'lm_head.weight_scale' });
    expect(embedding?.parts).to.deep.equal(weights['lm_head.weight']?.parts);
  });

  it('places each product of inputs that become integers in a graph of its own, outside of layers', async () => {
    const { path, remove } = familyCheckpoint('opt-post-norm');
    try {
      const output = join(folder, 'quantised-opt');
      const quantize = 'w8a8_dynamic';
      await quantizeCheckpoint({ input: path, output, quantize, quantizeHead: quantize });
      const { graphs } = await exported(output, { dtype: 'bf16' });
      for (const { graphs: all } of graphs) {
        const placed = all.at(-1)?.nodes.flatMap((node) => ('graph' in node ? [node.graph] : []));
        const own = ['project_in_graph', 'project_out_graph', 'lm_head_graph'];
        expect(placed).to.include.members(own);
        for (const { nodes } of all.filter(({ name }) => own.includes(name)))
          expect(nodes.map((node) => 'type' in node && node.type)).to.deep.equal([
            'DynamicQuant',
            'W8A8MatMul',
          ]);
      }
    } finally {
      remove();
    }
  });

  it('brings the programs that build and run it', async () => {
    const { output } = await exported(fixture('qwen3'));
    const programs = readdirSync(PROGRAM).filter((name) => name.endsWith('.py'));
    expect(programs).to.include.members(['generate.py', 'mindie_graphs.py', 'torch_atb_graphs.py']);
    expect(readdirSync(output)).to.have.members([
      ...programs,
      'manifest.json',
      'prefill.json',
      'decode.json',
      'splitfuse.json',
    ]);
    for (const name of programs) {
      const text = readFileSync(join(output, name), 'utf8');
      expect(text).to.equal(readFileSync(join(PROGRAM, name), 'utf8'));
    }
    const generate = readFileSync(join(output, 'generate.py'), 'utf8');
    expect(generate).to.include('python generate.py --input_ids');
  });

  it('knows in the program every way in which an input is made', () => {
    const text = readFileSync(join(PROGRAM, 'step_inputs.py'), 'utf8');
    const made = ['token_ids', 'positions', 'row_numbers', 'slots', 'block_tables', 'context_lengths'];
    made.push(
      'inserted_rows',
      'embedding_rows',
      'deep_rows',
      'deep_index',
      'axis_positions',
      'grid_positions',
    );
    for (const way of [...made, 'query_lengths', 'last_rows', 'range', 'mask', 'rotary'])
      expect(text).to.include(`made == "${way}"`);
    for (const by of ['position', 'long_or_short', 'dynamic_length']) expect(text).to.include(`"${by}"`);
  });

  it('warns that no NPU takes f32, and makes bf16 of a checkpoint in f32', async () => {
    const warnings: string[] = [];
    const onWarning = (text: string): void => {
      warnings.push(text);
    };
    const { manifest } = await exported(fixture('llama'), { onWarning });
    expect([manifest.model.dtype, warnings]).to.deep.equal(['bf16', []]);
    const f32 = await exported(fixture('llama'), { dtype: 'f32', onWarning });
    expect(f32.manifest.model.dtype).to.equal('f32');
    expect(warnings).to.have.length(3);
    expect(warnings[0]).to.match(/^no NPU takes f32 \(rule dtype\): .*has dtypes float/);
  });

  it('refuses what ATB refuses, naming the rule', async () => {
    const blocks = await failure(exported(fixture('llama'), { blockSize: 24 }));
    expect(blocks).to.match(/^GRAPH_ILLEGAL: .*the block size must be a multiple of 16, found 24/);
    const f32 = await failure(exported(fixture('llama'), { blockSize: 24, dtype: 'f32' }));
    expect(f32).to.match(/^GRAPH_ILLEGAL: .*the block size must be a multiple of 16/);
  });

  it('refuses a directory with something in it', async () => {
    const { output } = await exported(fixture('llama'));
    const again = await failure(exportModel({ modelPath: fixture('llama'), output }));
    expect(again).to.match(/^REQUEST_INVALID: OUTPUT must be an empty directory/);
  });

  it('is a command', async () => {
    const output = join(folder, 'by-command');
    const args = ['export', fixture('qwen3'), output, '--dtype', 'f16'];
    const { builder, handler }: Command = exportCommand;
    const argv = yargs(args).command({ command: 'export <input> <output>', builder, handler });
    await argv.strict().exitProcess(false).parseAsync();
    expect(JSON.parse(readFileSync(join(output, 'manifest.json'), 'utf8')).model.dtype).to.equal('f16');
  });
});
