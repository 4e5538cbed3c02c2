import { expect } from 'chai';
import {
  type ConfigDict,
  constant,
  type DecoderConfig,
  type DecoderDefaults,
  decoder,
  defineConfig,
  type Field,
  field,
  flag,
  fullAttention,
  labels,
  required,
  slidingByLayer,
  slidingEverywhere,
  tokenField,
} from '../../src/layers/config/index.js';
import { problemsOf } from './config-problems.js';

const DEFAULTS: DecoderDefaults = {
  numKeyValueHeads: 'num_attention_heads',
  headDim: 'hidden_size / num_attention_heads',
  hiddenAct: 'silu',
  rmsNormEps: 1e-6,
  ropeTheta: 10_000,
  tieWordEmbeddings: false,
};
const BY_LAYER = slidingByLayer({
  window: required,
  useSlidingWindow: false,
  maxWindowLayers: 28,
});

/** How a family differs from one whose attention may have biases, and windows in some layers. */
interface Family extends Partial<DecoderDefaults> {
  readonly qkvBias?: Field<boolean>;
  readonly denseBias?: Field<boolean>;
  readonly slidingWindows?: typeof fullAttention;
  readonly irrelevant?: Readonly<Record<string, string>>;
}

const SMALL = {
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 112,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 131,
  max_position_embeddings: 256,
};
function config(extra: ConfigDict = {}, family: Family = {}): DecoderConfig {
  const definition = defineConfig({
    fields: {
      ...decoder({ ...DEFAULTS, ...family }),
      qkvBias: family.qkvBias ?? field('attention_bias', flag, false),
      denseBias: family.denseBias ?? field('attention_bias', flag, false),
      mlpBias: field('mlp_bias', flag, false),
      slidingWindows: family.slidingWindows ?? BY_LAYER,
    },
    irrelevant: family.irrelevant ?? {},
  });
  return definition.read({ ...SMALL, ...extra });
}

const problems = (extra: ConfigDict, family: Family = {}): readonly string[] =>
  problemsOf(() => config(extra, family));

describe('config.json', () => {
  it('gets its defaults from the family', () => {
    expect(config()).to.deep.include({
      headDim: 16,
      rmsNormEps: 1e-6,
      hiddenAct: 'silu',
      qkvBias: false,
      denseBias: false,
      mlpBias: false,
      tieWordEmbeddings: false,
      slidingWindows: [undefined, undefined, undefined],
      eosTokenIds: [],
      dtype: undefined,
    });
    expect(config({ num_key_value_heads: undefined }).numKeyValueHeads).to.equal(4);
    expect(config({ head_dim: null }, { headDim: 128 }).headDim).to.equal(128);
    expect(config({ head_dim: 24 }, { headDim: 128 }).headDim).to.equal(24);
    expect(
      config({ max_position_embeddings: undefined, max_sequence_length: 2048 }).maxPositionEmbeddings,
    ).to.equal(2048);
  });

  it('knows dtypes by their old and new name', () => {
    expect(config({ torch_dtype: 'bfloat16' }).dtype).to.equal('bf16');
    expect(config({ dtype: 'float16', torch_dtype: 'bfloat16' }).dtype).to.equal('f16');
    expect(config({ dtype: null, torch_dtype: 'torch.bfloat16' }).dtype).to.equal('bf16');
    expect(config({ torch_dtype: 'auto' }).dtype).to.equal(undefined);
    const others = ['half', 'float', 'float64'].map((torch_dtype) => config({ torch_dtype }).dtype);
    expect(others).to.deep.equal(['f16', 'f32', 'f32']);
  });

  it('gives biases to all of attention, to q, k and v, or to nothing', () => {
    expect(config({ attention_bias: true })).to.deep.include({ qkvBias: true, denseBias: true });
    const [always, never] = [constant(true), constant(false)];
    expect(config({}, { qkvBias: always, denseBias: never })).to.deep.include({
      qkvBias: true,
      denseBias: false,
    });
    const irrelevant = { attention_bias: 'no projection has one' };
    expect(
      config({ attention_bias: true }, { qkvBias: never, denseBias: never, irrelevant }),
    ).to.deep.include({ qkvBias: false, denseBias: false });
  });

  it('takes windows from layer_types, from max_window_layers, for all layers or for none', () => {
    const window = { use_sliding_window: true, sliding_window: 20 };
    const types = ['full_attention', 'sliding_attention', 'full_attention'];
    expect(config({ ...window, layer_types: types }).slidingWindows).to.deep.equal([
      undefined,
      20,
      undefined,
    ]);
    expect(config({ ...window, max_window_layers: 1 }).slidingWindows).to.deep.equal([undefined, 20, 20]);
    expect(config({ ...window, use_sliding_window: false, layer_types: types }).slidingWindows).to.deep.equal(
      Array(3).fill(undefined),
    );
    // As transformers 5 saves Qwen2Moe's configuration.
    expect(config({ use_sliding_window: false, sliding_window: 0 }).slidingWindows).to.deep.equal(
      Array(3).fill(undefined),
    );
    const everywhere = { slidingWindows: slidingEverywhere({ window: 30 }) };
    expect(config({ sliding_window: 20 }, everywhere).slidingWindows).to.deep.equal([20, 20, 20]);
    expect(config({}, everywhere).slidingWindows).to.deep.equal([30, 30, 30]);
    expect(config({ sliding_window: null }, everywhere).slidingWindows).to.deep.equal(
      Array(3).fill(undefined),
    );
    const irrelevant = { sliding_window: 'every query sees all' };
    expect(
      config({ sliding_window: 20 }, { slidingWindows: fullAttention, irrelevant }).slidingWindows,
    ).to.deep.equal(Array(3).fill(undefined));
  });

  it('reads one end token or several, and -1 as none', () => {
    expect(config({ eos_token_id: 2 }).eosTokenIds).to.deep.equal([2]);
    expect(config({ eos_token_id: [2, 130] }).eosTokenIds).to.deep.equal([2, 130]);
    expect(config({ eos_token_id: [2, -1, 131] }).eosTokenIds).to.deep.equal([2, 131]);
    expect(config({ pad_token_id: -1 }).padTokenId).to.equal(undefined);
    expect(config({ bos_token_id: null, eos_token_id: null })).to.deep.include({
      bosTokenId: undefined,
      eosTokenIds: [],
    });
  });

  it('refuses -1 for a token that a model needs, as the place of a picture', () => {
    const { read } = defineConfig({ fields: { image: tokenField('image_token_id', 7) } });
    expect(read({ image_token_id: null }).image).to.equal(7);
    expect(problemsOf(() => read({ image_token_id: -1 }))).to.deep.equal([
      'image_token_id must be an integer from 0 to 2147483647, found -1',
    ]);
  });

  it('refuses names of labels that are none, and no labels', () => {
    const architectures = ['BertForSequenceClassification'];
    const { read } = defineConfig({ fields: { labels } });
    for (const id2label of ['x', [], {}, true])
      expect(problemsOf(() => read({ architectures, id2label }))).to.match(
        /id2label must be an object with a name for each label, found/,
      );
  });

  it('maps the activations of transformers', () => {
    const acts = ['silu', 'swish', 'gelu', 'gelu_new', 'gelu_pytorch_tanh'].map(
      (hidden_act) => config({ hidden_act }).hiddenAct,
    );
    expect(acts).to.deep.equal(['silu', 'silu', 'gelu', 'gelu_tanh', 'gelu_tanh']);
    expect(['relu', 'relu2'].map((hidden_act) => config({ hidden_act }).hiddenAct)).to.deep.equal([
      'relu',
      'relu2',
    ]);
  });

  const SIZES = [
    'hidden_size',
    'intermediate_size',
    'num_hidden_layers',
    'num_attention_heads',
    'num_key_value_heads',
    'head_dim',
    'vocab_size',
    'max_position_embeddings',
  ];
  for (const field of SIZES) {
    it(`refuses a ${field} that is not a sensible integer`, () => {
      for (const bad of ['64', 1.5, -1, 0, 1e308, 2 ** 31, 2 ** 53, [64], {}, true]) {
        expect(problems({ [field]: bad }).join()).to.match(
          new RegExp(`${field} must be an integer from 1 to`),
          `${bad}`,
        );
      }
    });
  }

  it('refuses rms_norm_eps and rope_theta out of range', () => {
    for (const bad of [0, -1e-6, '1e-6', 2, 1e308])
      expect(problems({ rms_norm_eps: bad })[0]).to.match(/^rms_norm_eps must be a number/);
    for (const bad of [0, -1, '10000', 1e308])
      expect(problems({ rope_theta: bad })[0]).to.match(/^rope_theta must be a number/);
  });

  it('names every problem at once', () => {
    const found = problems({
      hidden_size: '64',
      vocab_size: undefined,
      hidden_act: 'relu6',
      rope_scaling: { type: 'magic' },
    });
    expect(found.join('\n')).to.match(/hidden_size must be an integer/);
    expect(found.join('\n')).to.match(/vocab_size is missing/);
    expect(found.join('\n')).to.match(/hidden_act must be one of silu, .*, found "relu6"/);
    expect(found.join('\n')).to.match(/rope_scaling.type must be one of default, .*, found "magic"/);
    expect(found).to.have.length(4);
  });

  const REFUSED: [string, ConfigDict, RegExp][] = [
    [
      'heads that key heads do not divide',
      { num_key_value_heads: 3 },
      /num_attention_heads \(4\) must be a multiple of num_key_value_heads \(3\)/,
    ],
    [
      'a hidden size that heads do not divide',
      { hidden_size: 66 },
      /hidden_size \(66\) must be a multiple of num_attention_heads \(4\) without head_dim/,
    ],
    ['an odd head size', { head_dim: 15 }, /head_dim must be even for rotary embeddings, found 15/],
    [
      'a wrong number of layer types',
      { layer_types: ['full_attention'] },
      /layer_types must have one entry for each of the 3 layers, found 1/,
    ],
    [
      'an unknown layer type',
      { layer_types: ['full_attention', 'chunked_attention', 'full_attention'] },
      /layer_types must be a list of/,
    ],
    [
      'a window of nothing',
      { use_sliding_window: true, sliding_window: 0 },
      /sliding_window must be an integer from 1/,
    ],
    ['a negative window', { sliding_window: -4 }, /sliding_window must be an integer from 1/],
    ['a window that is used and not given', { use_sliding_window: true }, /sliding_window is missing/],
    ['an end token that is no integer', { eos_token_id: '2' }, /eos_token_id must be/],
    [
      'a quantised checkpoint',
      { quantization_config: { quant_method: 'hqq' } },
      /quantization_config: the checkpoint is quantised by "hqq" in a format that is not read; .*--quantize/,
    ],
    ...['hqq', 'torchao', 'aqlm', 'vptq', 'eetq', 'quanto', 'higgs', 'spqr', 'quark'].map(
      (method): [string, Readonly<Record<string, unknown>>, RegExp] => [
        `what ${method} quantised`,
        { quantization_config: { quant_method: method } },
        new RegExp(`quantised by "${method}" .*--quantize. What is read: .*gptq, awq, auto-round`),
      ],
    ),
    [
      'a checkpoint that MLX quantised',
      { quantization: { group_size: 64, bits: 4 } },
      /quantization: the checkpoint is quantised by "MLX" in a format that is not read; .*--quantize/,
    ],
    [
      'an unknown dtype',
      { torch_dtype: 'float8_e4m3fn' },
      /torch_dtype must be one of float32, float16, bfloat16/,
    ],
    [
      'a flag that is no flag',
      { tie_word_embeddings: 1 },
      /tie_word_embeddings must be true or false, found 1/,
    ],
    [
      'no context length at all',
      { max_position_embeddings: undefined },
      /max_position_embeddings is missing/,
    ],
  ];
  for (const [what, extra, message] of REFUSED) {
    it(`refuses ${what}`, () => expect(problems(extra).join('\n')).to.match(message));
  }
});

describe('rope_scaling', () => {
  const rope = (scaling: unknown, extra: ConfigDict = {}) =>
    problems({ rope_scaling: scaling, ...extra }).join('\n');
  const LLAMA3 = {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 64,
  };
  const YARN = { type: 'yarn', factor: 4, original_max_position_embeddings: 64 };
  const EIGHT = Array(8).fill(1.5);
  const LONG = {
    type: 'longrope',
    short_factor: EIGHT,
    long_factor: EIGHT,
    original_max_position_embeddings: 64,
  };

  it('accepts every kind, in the spelling of transformers 4 and 5', () => {
    const kind = (extra: ConfigDict) => config(extra).rope.scaling.type;
    expect(kind({ rope_scaling: { type: 'linear', factor: 2 } })).to.equal('linear');
    expect(kind({ rope_scaling: LLAMA3 })).to.equal('llama3');
    expect(
      kind({ rope_parameters: { ...YARN, type: undefined, rope_type: 'yarn', rope_theta: 1e6 } }),
    ).to.equal('yarn');
    expect(kind({ rope_scaling: LONG })).to.equal('longrope');
    expect(kind({ rope_scaling: { ...LONG, type: 'su' } })).to.equal('longrope');
    expect(kind({ rope_scaling: { rope_type: 'default' } })).to.equal('default');
    expect(kind({ rope_scaling: null })).to.equal('default');
    expect(
      config({ rope_parameters: { rope_theta: 5e5, rope_type: 'default' }, rope_theta: 1 }).rope.theta,
    ).to.equal(5e5);
    expect(config({ rope_theta: 5e5 }).rope.theta).to.equal(5e5);
  });

  const REFUSED: [string, unknown, RegExp][] = [
    [
      'an unknown type',
      { rope_type: 'ntk' },
      /rope_scaling.rope_type must be one of default, linear, dynamic, llama3, yarn, longrope, proportional, found "ntk"/,
    ],
    ['a type named after a property of objects', { rope_type: 'constructor' }, /rope_type must be one of/],
    [
      'types that contradict each other',
      { rope_type: 'yarn', type: 'linear', factor: 2 },
      /rope_type and rope_scaling.type contradict each other: yarn and linear/,
    ],
    ['a factor without a type', { factor: 4 }, /rope_scaling.rope_type is missing/],
    ['a missing factor', { type: 'linear' }, /rope_scaling.factor is missing/],
    ['a factor of 0', { type: 'dynamic', factor: 0 }, /rope_scaling.factor must be a number greater than 0/],
    ['a negative factor', { type: 'linear', factor: -2 }, /rope_scaling.factor must be a number/],
    ['a factor that is no number', { type: 'linear', factor: '4' }, /rope_scaling.factor must be a number/],
    [
      'a null original length (llama3)',
      { ...LLAMA3, original_max_position_embeddings: null },
      /original_max_position_embeddings is missing/,
    ],
    [
      'a null original length (yarn)',
      { ...YARN, original_max_position_embeddings: null },
      /original_max_position_embeddings is missing/,
    ],
    [
      'a null original length (longrope)',
      { ...LONG, original_max_position_embeddings: null },
      /original_max_position_embeddings is missing/,
    ],
    [
      'bands in the wrong order',
      { ...LLAMA3, high_freq_factor: 0.5 },
      /high_freq_factor \(0.5\) must not be below low_freq_factor \(1\)/,
    ],
    ['missing bands', { ...LLAMA3, low_freq_factor: undefined }, /low_freq_factor is missing/],
    [
      'factors of the wrong length',
      { ...LONG, long_factor: [1, 2] },
      /long_factor must have 8 entries, half of head_dim, found 2/,
    ],
    ['missing factors', { ...LONG, short_factor: undefined }, /short_factor is missing/],
    [
      'factors that are no numbers',
      { ...LONG, short_factor: Array(8).fill('1') },
      /short_factor must be a list of positive numbers/,
    ],
    [
      'RoPE by layer type',
      { full_attention: { rope_type: 'default' } },
      /RoPE that differs between layers is not supported/,
    ],
    ['a list', [1, 2], /rope_scaling must be an object/],
    [
      'a partial rotation',
      { rope_type: 'default', partial_rotary_factor: 0.5 },
      /partial_rotary_factor other than 1 is not supported/,
    ],
  ];
  for (const [what, scaling, message] of REFUSED) {
    it(`refuses ${what}`, () => expect(rope(scaling)).to.match(message));
  }

  it('refuses both spellings when they differ', () => {
    const both = { rope_parameters: { type: 'linear', factor: 8 } };
    expect(rope({ type: 'linear', factor: 4 }, both)).to.match(
      /rope_scaling and rope_parameters contradict each other/,
    );
    expect(rope({ type: 'linear', factor: 8 }, both)).to.equal('');
  });
});
