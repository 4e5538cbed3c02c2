import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModels } from '../../src/models/get-model.js';
import { createEngine, type NativeEngine } from '../../src/native/index.js';
import { getRouter } from '../../src/router/index.js';
import { resolveSamplingParams, type SamplingOptions } from '../../src/sampling/sampling-params.js';
import { ChatTemplate } from '../../src/tokenizer/chat-template.js';
import { Checkpoint } from '../../src/weights/checkpoint.js';
import { QUANTIZE_MODES, quantizationPlan } from '../../src/weights/quantization.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { familyCases, familyConfig } from '../oracle/families.js';
import { safetensorsBytes } from '../weights/safetensors-writer.js';
import { gguf } from './gguf-target.js';
import { mutate, nasty, type Random, spliced } from './mutate.js';

/** One execution. Throws AtbErrors for what it refuses; anything else is a finding. */
export type Target = (random: Random) => unknown;

const MODEL = join(import.meta.dirname, '../../../examples/models/tiny-stories-draft');
/** Of models that embed or rank, and of those that see or hear. */
const OTHER_FIXTURES = ['encoders', 'media-models'].map((folder) =>
  join(import.meta.dirname, '../../../test/fixtures', folder),
);
const json = (name: string): Record<string, unknown> => JSON.parse(readFileSync(join(MODEL, name), 'utf8'));

/** A safetensors file whose header is changed as JSON or as text, whose length lies, or whose end is missing. */
function headers(folder: string): Target {
  const whole = readFileSync(join(MODEL, 'model.safetensors'));
  const length = Number(whole.readBigUInt64LE());
  const stored: Record<string, { data_offsets: number[] }> = JSON.parse(
    whole.toString('utf8', 8, 8 + length),
  );
  // Few tensors, so that a change of one is likely to meet what another one says. The first is `__metadata__`.
  const header = Object.fromEntries(Object.entries(stored).slice(0, 7));
  const dataBytes = Object.values(header).at(-1)?.data_offsets[1] ?? 0;
  const pieces = ['"', '{', '}', '[', ']', ',', ':', '0', '9', '-', 'e', '.', '\\', '\u0000', 'null', 'F64'];
  const directory = join(folder, 'header');
  const file = join(directory, 'model.safetensors');
  mkdirSync(directory, { recursive: true });
  return async (random) => {
    const text = random.chance(0.5)
      ? JSON.stringify(mutate(structuredClone(header), random))
      : spliced(JSON.stringify(header), random, [
          ...pieces,
          '__metadata__',
          '18446744073709551615',
          '\ufeff',
        ]);
    const bytes = Buffer.from(text);
    const start = Buffer.alloc(8);
    const lies = [0n, 1n, 2n ** 64n - 1n, 2n ** 63n, BigInt(bytes.length + 1), BigInt(bytes.length - 1)];
    start.writeBigUInt64LE(random.chance(0.1) ? random.pick(lies) : BigInt(bytes.length));
    writeFileSync(file, Buffer.concat([start, bytes]));
    const more = random.chance(0.2) ? random.int(-2000, 2000) : 0;
    truncateSync(file, Math.max(0, 8 + bytes.length + dataBytes + more));
    const checkpoint = await Checkpoint.open(directory);
    for (const name of checkpoint.tensors.keys()) checkpoint.find(name);
  };
}

/** An index of shards, changed as JSON or as text. Its shards are there, and one of them holds a tensor of the other. */
function indexes(folder: string): Target {
  const index = {
    metadata: { total_size: 20 },
    weight_map: { a: 'm1.safetensors', b: 'm1.safetensors', c: 'm2.safetensors' },
  };
  const pieces = [
    '"',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '../',
    '/etc/passwd',
    '\\u002e',
    '\\',
    '\u0000',
    'null',
    '[[[',
  ];
  const directory = join(folder, 'index');
  mkdirSync(directory, { recursive: true });
  const write = (shard: string, names: string) => {
    const tensors = [...names].map((name) => ({ name, dtype: 'F32', shape: [1], data: Buffer.alloc(4) }));
    writeFileSync(join(directory, shard), safetensorsBytes(tensors));
  };
  write('m1.safetensors', 'ab');
  write('m2.safetensors', 'bcd');
  return async (random) => {
    const text = JSON.stringify(random.chance(0.6) ? mutate(structuredClone(index), random) : index);
    writeFileSync(
      join(directory, 'model.safetensors.index.json'),
      random.chance(0.5) ? spliced(text, random, pieces) : text,
    );
    const checkpoint = await Checkpoint.open(directory);
    for (const name of ['a', 'b', 'c', 'd', 'e', ...checkpoint.tensors.keys()]) checkpoint.find(name);
  };
}

/** config.json of each family, and the graphs of the models that it is taken for. */
async function configs(): Promise<Target> {
  // Thousands of layers, of text or of an encoder, say no more than a few, and take long.
  const hasMany = (json: unknown): boolean =>
    typeof json === 'object' &&
    json !== null &&
    Object.entries(json).some(
      ([key, value]) => (/layers$|depth$/.test(key) && Number(value) > 64) || hasMany(value),
    );

  await loadModels();
  const common = {
    ...{ hidden_size: 64, intermediate_size: 112, num_hidden_layers: 2, num_attention_heads: 4 },
    ...{ num_key_value_heads: 2, vocab_size: 131, max_position_embeddings: 256, rms_norm_eps: 1e-6 },
    ...{ rope_theta: 1e4, hidden_act: 'silu', tie_word_embeddings: false, torch_dtype: 'bfloat16' },
  };
  const bases = [
    ...['llama', 'mistral', 'qwen2', 'qwen3'].map((model_type) => ({ ...common, model_type })),
    ...familyCases.map((name) => familyConfig(name)),
    ...OTHER_FIXTURES.flatMap((folder) => readdirSync(folder).map((name) => familyConfig(name, folder))),
  ];
  const plans = [{}, ...QUANTIZE_MODES.map((quantize) => ({ quantize }))].map((options) =>
    quantizationPlan(options),
  );
  const ropes = [
    { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 64 },
    { type: 'linear', factor: 2 },
    {
      ...{ rope_type: 'llama3', factor: 8, low_freq_factor: 1 },
      ...{ high_freq_factor: 4, original_max_position_embeddings: 64 },
    },
    { type: 'dynamic', factor: 2 },
    { type: 'longrope', short_factor: Array(16).fill(1), long_factor: Array(16).fill(2) },
  ];
  return (random) => {
    const base = random.pick(bases);
    const changed = mutate(
      {
        ...structuredClone(base),
        ...(random.chance(0.3) && { rope_scaling: structuredClone(random.pick(ropes)) }),
        ...(random.chance(0.2) && {
          layer_types: ['full_attention', 'sliding_attention'],
          sliding_window: 16,
        }),
      },
      random,
    );
    const Router = getRouter(base.model_type);
    const router = new Router('', { ...JSON.parse(JSON.stringify(changed)), model_type: base.model_type });
    if (router.config.numHiddenLayers > 8 || hasMany(changed)) return;
    const model = router.createModel(declaredWeights('f32', random.pick(plans)));
    model.caches();
    for (const kind of model.graphKinds) model.buildGraph(kind);
  };
}

/** Chat templates put together from pieces. */
function templates(): Target {
  const own = json('tokenizer_config.json').chat_template;
  const whole = [
    ...(typeof own === 'string' ? [own] : []),
    "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] | trim }}{% endfor %}",
    '{% set ns = namespace(a=[]) %}{% macro f(x, y=2) %}{{ x * y }}{% endmacro %}{% for i in range(10) %}{{ f(i) }}{% endfor %}',
    "{{ messages | tojson(indent=4) }}{{ messages | map(attribute='content') | join(', ') | upper }}",
    "{% if tools is defined %}{{ tools | tojson }}{% else %}{{ strftime_now('%d %b') }}{% endif %}",
  ];
  const pieces = [
    ...[
      '{{',
      '}}',
      '{%',
      '%}',
      'for x in ',
      'range(',
      '99999',
      ')',
      '|',
      'join',
      'tojson',
      'indent(',
      "'",
      '"',
    ],
    ...[
      '[',
      ']',
      'messages',
      '.content',
      '* ',
      '~',
      '+',
      'namespace(',
      'macro f()',
      'endmacro',
      'f()',
      'set a = ',
    ],
    ...[
      'endfor',
      'if',
      'endif',
      'else',
      'is defined',
      '.split("")',
      '.replace("", "aa")',
      'recursive',
      'loop',
      '(',
    ],
    ...[
      '**',
      '//',
      '%',
      '-',
      '|list',
      '|sort',
      '|unique',
      '|map("upper")',
      '{#',
      '#}',
      '\u0000',
      '__proto__',
    ],
    ...[
      '.constructor',
      '.items()',
      '|dictsort',
      '|string',
      '|int',
      '|length',
      'break',
      'not',
      '"x" * 1000000',
    ],
  ];
  return (random) => {
    const source =
      spliced(random.pick(whole), random, pieces) + (random.chance(0.1) ? random.pick(whole) : '');
    const content = `hello ${'x'.repeat(random.int(0, 50))}`;
    const template = new ChatTemplate(source, 'fuzz');
    template.render({ messages: [{ role: 'user', content }], add_generation_prompt: true, bos_token: '<s>' });
  };
}

/** Sampling options of any type. */
function sampling(): Target {
  const fields = [
    ...[
      'maxTokens',
      'minTokens',
      'temperature',
      'topK',
      'topP',
      'minP',
      'repetitionPenalty',
      'frequencyPenalty',
    ],
    ...['presencePenalty', 'logitBias', 'seed', 'logprobs', 'stop', 'stopTokenIds', 'ignoreEos'],
    ...['includeStopStrInOutput', 'skipSpecialTokens', 'suppressTokens', 'x', '__proto__', 'constructor'],
  ];
  return (random) => {
    const options: Record<string, unknown> = {};
    // Few at a time are accepted now and then; many meet one another.
    const share = random.pick([0.06, 0.25]);
    for (const field of fields) {
      if (!random.chance(share)) continue;
      options[field] = random.chance(0.5)
        ? nasty(random)
        : random.pick<unknown>([
            ...[
              random.next(),
              random.int(0, 100),
              1,
              { [random.int(0, 200)]: 1 },
              ['a', 'b'],
              'abc',
              Number.NaN,
            ],
            ...[Number.POSITIVE_INFINITY, 10n, Symbol.iterator, () => 1, new Date(), new Map([[1, 2]])],
          ]);
    }
    const params = resolveSamplingParams(options as SamplingOptions, { vocabSize: 100 });
    if (!(params.maxTokens >= 1)) throw new Error(`accepted maxTokens ${params.maxTokens}`);
  };
}

/** Methods of the native engine with hostile values. The engine must go on after each of them. */
function engineMethods(): Target {
  const tensor = () => ({ dtype: 'f32', shape: [1, 2], data: Float32Array.of(1, 2) });
  const node = { name: 'n', op: { type: 'Elewise', param: { elewiseType: 'ELEWISE_ADD' } } };
  const spec = () => ({
    ...{ name: 'add', inputs: ['a', 'b'], outputs: ['c'], views: {} },
    nodes: [{ ...structuredClone(node), inputs: ['a', 'b'], outputs: ['c'] }],
  });
  const sampler = () => ({
    ...{
      temperature: 1,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      frequencyPenalty: 0,
      presencePenalty: 0,
    },
    ...{ logitBias: [[1, 1]], seed: 1, topLogprobs: 2, promptTokens: Int32Array.of(1) },
  });
  const cache = () => ({
    ...{ numBlocks: 2, blockSize: 32, dtype: 'f32' },
    caches: [
      { key: 'k', value: 'v', heads: 1, keySize: 16, valueSize: 16 },
      { key: 'latent', heads: 1, keySize: 24, valueSize: 16 },
      { key: 'entries', heads: 1, keySize: 24, valueSize: 16, tokensPerRow: 4 },
      { key: 'shown', value: 'of_shown', heads: 1, keySize: 16, valueSize: 16, numBlocks: 3 },
    ],
  });
  const weight = () => ({
    ...{ name: 'w', dtype: 'f32', shape: [2, 4], layout: 'plain' },
    parts: [{ dtype: 'f32', shape: [2, 4], value: 1 }],
  });
  // Of numbers that are there already: four bits to each, in bytes or in words. Any file will do for these.
  const stored = (part: object) => [
    {
      ...{ name: 'q', dtype: 'f32', shape: [16, 64], layout: 'linear' },
      quantize: { bits: 4, groupSize: 32, activations: 'float', scaleName: 's' },
      parts: [{ file: join(MODEL, 'model.safetensors'), offset: 64, ...part }],
    },
    { ...weight(), name: 's', shape: [16, 2], parts: [{ dtype: 'f32', shape: [16, 2], value: 0.5 }] },
  ];
  const words = {
    dtype: 'i32',
    shape: [8, 16],
    transposed: true,
    words: { bits: 4, axis: 0, count: 64, minus: 8 },
  };
  const letter = () => ({
    ...{ nodes: 2, rules: Int32Array.of(0, 1), bytes: Int32Array.of(0, 1, 97, 98) },
    ...{ calls: Int32Array.of(), empty: Int32Array.of(1, 1) },
  });
  const calls: readonly (() => [keyof NativeEngine, ...object[]])[] = [
    () => ['setTensor', ['t', tensor()]],
    () => ['loadGraph', [spec()]],
    () => ['forward', [spec(), { a: tensor(), b: tensor() }, ['n/c']]],
    () => ['createSampler', [sampler()]],
    () => ['allocateKvCache', [cache()]],
    () => ['loadWeights', [[weight()]]],
    () => ['loadWeights', [stored(words)]],
    () => [
      'loadWeights',
      [[{ ...weight(), shape: [2, 2, 4], parts: [weight().parts[0], weight().parts[0]] }]],
    ],
    () => ['appendTokens', [1, Int32Array.of(1)]],
    () => ['copyBlocks', [Int32Array.of(0, 1)]],
    () => ['reserve', [1, { a: { dtype: 'f32', shape: [1, 3] }, b: { dtype: 'f32', shape: [1, 3] } }]],
    () => ['run', [1, { a: tensor(), b: tensor() }, { logits: true }]],
    () => ['exportTensor', ['t']],
    () => [
      'setVocabulary',
      [{ bytes: Uint8Array.of(97, 98), offsets: Int32Array.of(0, 1, 2), ends: Int32Array.of(1) }],
    ],
    () => ['compileGrammar', [letter()]],
    () => ['grammarAllows', [1, Uint8Array.of(97)]],
    () => ['createSampler', [{ ...sampler(), grammar: 1, maxTokens: 4 }]],
  ];
  let engine = createEngine({ threads: 1 });
  return async (random) => {
    const [method, args = []] = random.pick(calls)();
    const changed = random.chance(0.9) ? mutate(args, random) : args;
    try {
      const call: unknown = Reflect.get(engine, method);
      if (typeof call !== 'function') throw new TypeError(`no method ${method}`);
      await Reflect.apply(call, engine, changed as unknown[]);
    } finally {
      // A task that failed on the engine's thread makes later calls fail: then another engine takes its place.
      const usable = await engine
        .forward(spec() as never, { a: tensor(), b: tensor() } as never)
        .catch(() => undefined);
      if (!usable) {
        engine.dispose();
        engine = createEngine({ threads: 1 });
      }
    }
  };
}

/** The targets by name. `folder` is theirs to write in. */
export async function targets(folder: string): Promise<ReadonlyMap<string, Target>> {
  return new Map([
    ['headers', headers(folder)],
    ['gguf', gguf(folder)],
    ['indexes', indexes(folder)],
    ['configs', await configs()],
    ['templates', templates()],
    ['sampling', sampling()],
    ['engine', engineMethods()],
  ]);
}
