import { expect } from 'chai';
import { DECODE, type GraphKind, PREFILL } from '../../src/graph/graph-kind.js';
import { distinctGraphs, type NodeSpec } from '../../src/graph/graph-spec.js';
import { applyPasses } from '../../src/graph/passes/index.js';
import { loadModels } from '../../src/models/get-model.js';
import { getRouter } from '../../src/router/index.js';
import { quantizationPlan } from '../../src/weights/quantization.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { familyCases, familyConfig } from '../oracle/families.js';

/** What a layer of Llama is made of once every pass has run. */
const FUSED = ['FusedLinear', 'QkvRopeCache', 'PagedAttention'];

/** Streams around attention and MLP, and between these; `scaled`: what the layer's vector is multiplied with. */
const altup = (attention: string, gates: string, scaled = ' Elewise'): string =>
  [
    'Slice Elewise Linear Linear Elewise Slice RmsNorm Linear Linear RmsNorm Linear',
    `${attention} ReshapeAndCache Linear RmsNorm Elewise Elewise${gates} Linear RmsNorm Elewise Linear`,
    `Elewise Elewise FusedMultiply Slice${scaled} Elewise Linear RmsNorm Slice Elewise Slice Concat`,
  ].join(' ');
const VALUE_NORMED = 'Split RmsNorm RmsNorm Rope RmsNorm';
const SPARSE_GATES =
  ' Split LayerNorm Elewise Reduce Elewise LayerNorm Elewise Fill Elewise Activation Elewise';
/** The latent attention of a layer. */
const LATENT = 'Split Split RmsNorm Rope Linear Concat Concat ReshapeAndCache Linear';

/** The same whose queries grow with positions. */
const GROWN_LATENT = LATENT.replace('Rope', 'Rope Elewise Elewise');

/** The same of scaled vectors, from which keys and values are made. */
const SCALED_LATENT = LATENT.replace('RmsNorm', 'RmsNorm Elewise');

/** Latent attention to keys that an indexer chose, in layers that have one. */
const SPARSE =
  'RmsNorm Linear Split RmsNorm Linear Split RmsNorm Rope Elewise Linear Linear Split Linear LayerNorm Split Rope Concat Concat ReshapeAndCache LightningIndexer Linear Concat Concat ReshapeAndCache SparseAttention Linear';
/** A norm whose numbers have gates; attention to chosen keys between such, whose result has gates, too. */
const GATED_NORM = 'RmsNorm Linear Activation Elewise';
const GATED_SPARSE = `${GATED_NORM} Linear Split RmsNorm Concat Linear Split RmsNorm Rope Elewise Linear Linear Split Linear LayerNorm Split Rope Concat Concat ReshapeAndCache LightningIndexer Linear Concat Concat ReshapeAndCache SparseAttention Linear Activation Elewise`;

/** The same between streams of hidden states, with a gate; behind it what is left of an MLP or of experts. */
function streamed(attention: string, mlp: string): string {
  const gates =
    'RmsNorm Elewise Linear Elewise Elewise Elewise Sigmoid Elewise Elewise Slice FusedMultiply Slice Elewise';
  return `${gates} ${attention} Linear Activation Elewise Linear FusedMultiply ${gates} ${mlp} FusedMultiply`;
}
/** The same whose queries grow with positions head by head, as those of its indexer do, and its experts. */
const grownIndexer = (turned: string, joined: string) =>
  `Elewise Linear ${turned}Linear LayerNorm ${joined}Elewise Elewise Elewise ReshapeAndCache LightningIndexer`;
const GROWN_INDEXER = grownIndexer('Split ', 'Split Rope Concat Concat ');
const GROWN_SPARSE = `RmsNorm Linear Split Split RmsNorm Rope ${GROWN_INDEXER} Elewise Elewise Elewise Elewise Linear Concat Concat ReshapeAndCache SparseAttention Linear`;
const LARGE_EXPERTS =
  'RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise Elewise FusedExperts Linear Elewise Elewise';
/** Of layers without an indexer. */
const SHARED_SPARSE =
  'RmsNorm Linear Split Split RmsNorm Rope Linear Concat Concat ReshapeAndCache SparseAttention Linear';
const STREAMED_EXPERTS = {
  normed:
    'RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise',
  plain: 'RmsNorm Elewise Linear Sigmoid Elewise Sort Gather Elewise FusedExperts Linear Elewise',
};

/** What a step of a layer of streams reads, and what becomes of its result. */
const hyper = (step: string): string => `Elewise Linear HyperWeights MixStreams ${step} MixStreams`;
/** The tail of heads, turned. */
const TAIL = 'Slice Rope Slice Concat';
/** An entry of several tokens. */
const ENTRY = `Linear WindowPool RmsNorm ${TAIL} ReshapeAndCache`;
/** Attention to a window and to entries, from the norms of queries and keys on: with none, with all, with chosen ones. */
const toEntries = (entries: string): string =>
  `RmsNorm RmsNorm Slice ${TAIL} Slice Concat ReshapeAndCache ${entries}CompressedAttention Elewise ${TAIL} Slice Slice Transpose Concat Linear Linear`;
const CHOSEN_ENTRIES = hyper(
  `RmsNorm Linear Split RmsNorm Linear ${toEntries(`${ENTRY} ${ENTRY} Elewise Linear Linear ${TAIL} LightningIndexer `)}`,
);
/** Experts that are scored by roots of softplus: by a table, and by scores. */
const ROOT =
  'Activation Elewise Activation Elewise Sigmoid Activation Elewise Elewise Activation Elewise Sigmoid Elewise Sigmoid Elewise';
const WEIGHED_ROOTS =
  'Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Activation Linear Elewise';
const BY_TABLE = hyper(`RmsNorm Elewise Linear Gather Cast ${ROOT} ${WEIGHED_ROOTS}`);
const BY_ROOT = hyper(`RmsNorm Elewise Linear ${ROOT} Elewise Sort ${WEIGHED_ROOTS}`);

/** Linear attention by the gated delta rule. */
const DELTA = 'RmsNorm Linear Linear CausalConv1d GatedDeltaRule RmsNorm Slice Activation Elewise';

/** Gated attention, and experts beside one that all tokens share, whose gates may have bounds. */
const clampedExperts = (scaled: string, clamped: string): string =>
  `RmsNorm Linear Linear Activation Elewise RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise ${scaled}FusedExperts Linear ${clamped}${clamped && 'Linear '}Elewise Elewise`;

/** Linear attention that decays by channel. */
const KIMI_DELTA =
  'RmsNorm Linear Linear Split Linear Linear Concat Slice CausalConv1d Slice CausalConv1d Slice CausalConv1d Concat Concat GatedDeltaRule Linear RmsNorm Activation Elewise';
/** The same with gates of full rank. */
const FULL_RANK_DELTA =
  'RmsNorm Linear Linear Linear Concat Slice CausalConv1d Slice CausalConv1d Slice CausalConv1d Concat Concat GatedDeltaRule Linear RmsNorm Activation Elewise';
/** Latent attention whose heads have gates. */
const GATED_LATENT =
  'RmsNorm Linear Split Split RmsNorm Rope Linear Concat Concat ReshapeAndCache Linear Linear Activation Elewise';

/** A layer of gated streams, of which attention, and experts behind it, read a mean, and take. */
function ofStreams(attention: string, weights: 'VectorNorm Elewise ' | ''): string {
  const read = 'RmsNorm Elewise Linear Sigmoid FusedMultiply Elewise';
  const taken = 'Linear Sigmoid Elewise Elewise Elewise';
  const experts = `Elewise Linear Softmax Sort ${weights}FusedExperts Linear Linear Sigmoid Elewise Elewise`;
  return `${read} Linear Linear ${attention} Linear ${taken} ${read} ${experts} ${taken}`;
}
const STREAMS_DELTA = 'CausalConv1d GatedDeltaRule RmsNorm Slice Activation Elewise';
/** What streams take of n-grams. */
const NGRAMS =
  'Gather Linear Linear RmsNorm Elewise RmsNorm Elewise Elewise Reduce Elewise Elewise Activation Elewise Activation Elewise Elewise Activation Elewise Activation Elewise Sigmoid Elewise Sigmoid Elewise Elewise Elewise Sigmoid Elewise RmsNorm Elewise CausalConv1d Elewise Elewise';

/** A mixer of Mamba-2. */
const MAMBA = 'CausalConv1d Slice SelectiveScan Slice Activation Elewise';

/** What follows attention in MiniMax-Text-01. */
const WEIGHED =
  'Elewise Elewise Elewise RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise FusedExperts Elewise Elewise Elewise';

/** Experts of attention and of MLPs, of each of which a token chooses so many. */
function mixtureOfBoth(choices: number): string {
  const each = (step: string): string => `${step} `.repeat(choices);
  const router = 'RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise';
  const product = 'MoeInitRouting Elewise GroupedMatmul';
  const queries = `${each('Slice Slice')}Linear ${each(`${product} Gather`)}${'Concat '.repeat(choices - 1)}`;
  const outputs = `${each(`Slice ${product} MoeTokenUnpermute`)}${each('Elewise')}Elewise`;
  return `${router} ${queries}Slice Rope Slice ReshapeAndCache ${outputs} ${router} FusedExperts Elewise Elewise`;
}

/** Experts without gates. */
const UNGATED = 'MoeInitRouting Elewise GroupedMatmul Activation Elewise GroupedMatmul MoeTokenUnpermute';

/** Beam's gated attention between norms, with a window and without one, where queries grow. */
const BEAM_WINDOW = 'RmsNorm Linear Linear Elewise Activation Elewise Linear RmsNorm';
const BEAM_FULL = 'RmsNorm Linear Elewise Linear Elewise Activation Elewise Linear RmsNorm';
const BEAM_GROUPS =
  'RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts RmsNorm';

/** GLM-5.3's linear attention, and its latent attention to pools, each between streams; and what is behind them. */
const POOL_DELTA =
  'Elewise Linear HyperWeights MixStreams RmsNorm Linear Linear Split Linear Linear Concat Slice CausalConv1d Slice CausalConv1d Slice CausalConv1d Concat Concat GatedDeltaRule Linear RmsNorm Activation Elewise Linear MixStreams Elewise Linear HyperWeights MixStreams';
const POOL_SPARSE =
  'Elewise Linear HyperWeights MixStreams RmsNorm Linear Split RmsNorm Linear RmsNorm Elewise Linear Linear Linear LayerNorm Linear Concat WindowPool ReshapeAndCache LightningIndexer Linear ReshapeAndCache SparseAttention Linear Linear MixStreams Elewise Linear HyperWeights MixStreams';
const POOL_SHARED =
  'Elewise Linear HyperWeights MixStreams Split RmsNorm Linear ReshapeAndCache SparseAttention Linear Linear MixStreams Elewise Linear HyperWeights MixStreams';
const POOL_EXPERTS =
  'RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Activation Linear Elewise MixStreams';
const POOL_GROUPS =
  'RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Activation Linear Elewise MixStreams';
const POOL_MLP = 'Activation Linear MixStreams';

/** What the passes leave in a layer's graph beside Llama's operations, in order, and whose layers those are. */
const LEFT: Readonly<Record<string, readonly string[]>> = {
  'LayerNorm Linear LayerNorm': ['bloom-normed-residual'],
  // By which queries grow.
  Elewise: ['llama4_text-whole', 'ministral3', 'ministral3-far'],
  'LayerNorm Elewise Linear Sort Slice Slice Elewise Elewise Elewise Elewise Elewise Elewise Elewise Elewise Elewise Elewise Elewise Elewise Elewise Cast Elewise Elewise Softmax Cast Elewise Elewise Activation Cast Elewise Elewise Softmax Elewise Gather FusedExperts Elewise':
    ['phimoe', 'phimoe-no-bias'],
  'Split Activation Elewise Elewise': ['bitnet'],
  'LayerNorm Linear': [
    'codegen',
    'codegen-narrow',
    'cohere',
    'cohere2',
    'cohere2-bias',
    'cohere2_moe-shared',
    'falcon-alibi-parallel',
    'falcon-multi-query',
    'falcon-one-norm',
    'gptj',
    'gptj-whole',
    'phi',
    'phi-grouped',
  ],
  'LayerNorm Linear Split LayerNorm Elewise LayerNorm Elewise Rope ReshapeAndCache': [
    'cohere-qk-norm',
    'stablelm-parallel',
  ],
  'Linear RmsNorm Linear RmsNorm': [
    'gemma2',
    'gemma2-unbounded',
    'gemma3_text',
    'gemma3_text-scaled',
    'glm4',
    'glm4-bias',
    'hyperclovax',
  ],
  'Linear Linear RmsNorm Linear RmsNorm': ['exaone4', 'exaone4-global'],
  'Split Rope RmsNorm RmsNorm ReshapeAndCache': [
    'hunyuan_v1_dense',
    'hunyuan_v1_dense-bias',
    'nanochat',
    'nanochat-grouped',
  ],
  'Linear Split RmsNorm RmsNorm Rope ReshapeAndCache Linear RmsNorm Linear RmsNorm': [
    'olmo2',
    'olmo2-grouped',
    'olmo3',
    'olmo3-one-rope',
    'olmo_hybrid-rotary',
  ],
  [LATENT]: [
    'axk1',
    'axk1-corrected',
    'deepseek_v2',
    'deepseek_v2-lite',
    'deepseek_v3',
    'glm4_moe_lite',
    'glm4_moe_lite-groups',
    'minicpm3',
    'minicpm3-direct',
    'sarvam_mla',
    'youtu',
    'youtu-direct',
  ],
  [`${LATENT} RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise`]:
    ['deepseek_v3'],
  [`${LATENT} RmsNorm Elewise Linear Sigmoid Elewise GroupTopk Elewise Elewise Fill Sort VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise RmsNorm`]:
    ['axk1'],
  [`${LATENT} RmsNorm Elewise Linear Sigmoid Sort Elewise FusedExperts Linear Elewise RmsNorm`]: [
    'axk1-corrected',
  ],
  [`${LATENT} RmsNorm Elewise Linear Sigmoid Elewise Sort Gather FusedExperts Linear Elewise Elewise`]: [
    'deepseek_v3-half',
  ],
  [`${LATENT} RmsNorm Elewise Linear Softmax Elewise GroupTopk Elewise Elewise Fill Sort Elewise FusedExperts Linear Elewise Elewise`]:
    ['deepseek_v2'],
  [`${LATENT} RmsNorm Elewise Linear Softmax Sort FusedExperts Linear Elewise Elewise`]: ['deepseek_v2-lite'],
  [GROWN_LATENT]: ['mistral4-groups'],
  [`${GROWN_LATENT} RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise Elewise FusedExperts Linear Elewise Elewise`]:
    ['mistral4'],
  [`${GROWN_LATENT} RmsNorm Elewise Linear Softmax Elewise GroupTopk Elewise Elewise Fill Sort Elewise FusedExperts Linear Elewise Elewise`]:
    ['mistral4-groups'],
  // Values of another size than keys.
  'Split Rope ReshapeAndCache': ['mimo_v2_flash', 'mimo_v2_flash-groups'],
  'Split Rope ReshapeAndCache RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise FusedExperts Elewise':
    ['mimo_v2_flash'],
  'Split Rope ReshapeAndCache RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather Elewise FusedExperts Elewise':
    ['mimo_v2_flash-groups'],
  // Half a layer, and the half beside experts, some of which give back what they get.
  [`${SCALED_LATENT} Elewise`]: ['longcat_flash', 'longcat_flash-all-compute'],
  [`${SCALED_LATENT} RmsNorm Elewise Linear Softmax Elewise Sort Gather FusedExperts`]: [
    'longcat_flash-all-compute',
  ],
  [`${SCALED_LATENT} RmsNorm Elewise Linear Softmax Elewise Sort Gather Elewise Gather Elewise Gather Elewise Fill FusedExperts Elewise Elewise Reduce Elewise Elewise`]:
    ['longcat_flash'],
  'Split LayerNorm LayerNorm Rope ReshapeAndCache': ['persimmon'],
  // No norm before the first layer's attention.
  Linear: ['modernbert_decoder', 'modernbert_decoder-biases'],
  'Linear LayerNorm LayerNorm': ['openai_gpt', 'openai_gpt-untied', 'opt-post-norm'],
  'RmsNorm Elewise Linear Softmax Sort FusedExperts Elewise': [
    'jamba',
    'mellum-plain',
    'qwen3_moe-dense-layers',
  ],
  'RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise FusedExperts Elewise': [
    'mellum',
    'mixtral',
    'mixtral-window',
    'qwen3_moe',
  ],
  'RmsNorm Elewise Linear Elewise Softmax Sort VectorNorm Elewise FusedExperts Elewise': ['gpt_oss'],
  'RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise':
    ['dots1'],
  'Split RmsNorm RmsNorm Rope ReshapeAndCache RmsNorm Elewise Linear Softmax Sort FusedExperts Elewise': [
    'olmoe',
  ],
  'Split Elewise Fill Elewise Fill Elewise Fill Elewise Fill Elewise Fill Elewise Fill Rope ReshapeAndCache':
    ['olmo-clipped'],
  'Split Elewise Fill Elewise Fill RmsNorm RmsNorm Elewise Fill Elewise Fill Elewise Fill Elewise Fill Rope ReshapeAndCache RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise FusedExperts Elewise':
    ['olmoe-normed'],
  'RmsNorm Elewise Linear Softmax Sort FusedExperts Linear Elewise Elewise': ['deepseek', 'lara_mini-biases'],
  'RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise FusedExperts Linear Elewise Elewise': [
    'aria_text',
    'aria_text-biases',
    'lara_mini',
  ],
  // A token is multiplied by its expert's weight, and what comes of it by 1.
  'RmsNorm Elewise Linear Sort Sigmoid Elewise Elewise Elewise Elewise FusedExperts Linear Elewise Elewise': [
    'llama4_text-dense-layers',
  ],
  'Elewise RmsNorm Elewise Linear Sort Sigmoid Elewise Elewise Elewise Elewise FusedExperts Linear Elewise Elewise':
    ['llama4_text'],
  'Split Rope RmsNorm RmsNorm ReshapeAndCache RmsNorm Elewise Linear Sort Sigmoid Elewise Elewise Elewise Elewise FusedExperts Linear Elewise Elewise':
    ['llama4_text', 'llama4_text-whole'],
  'RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise Elewise FusedExperts Elewise': [
    'deepseek-normed',
    'granitemoe',
    'granitemoe_swa-position-free',
  ],
  'RmsNorm Elewise Linear Softmax Sort FusedExperts Linear Linear Sigmoid Elewise Elewise Elewise': [
    'qwen2_moe',
  ],
  'RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise FusedExperts Linear Linear Sigmoid Elewise Elewise Elewise':
    ['qwen2_moe-dense-layers'],
  'Split Rope RmsNorm RmsNorm ReshapeAndCache RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise FusedExperts Linear Elewise Elewise':
    ['hunyuan_v1_moe', 'hunyuan_v1_moe-one'],
  'RmsNorm Elewise Linear Softmax Elewise Sort Gather VectorNorm Elewise Activation Elewise Elewise FusedExperts Linear Elewise Elewise':
    ['ernie4_5_moe'],
  'RmsNorm Elewise Linear Softmax Elewise Sort Gather VectorNorm Elewise Activation Elewise Elewise FusedExperts Elewise':
    ['ernie4_5_moe-interval'],
  'RmsNorm Elewise Linear Sigmoid Sort VectorNorm Elewise FusedExperts Linear Elewise Elewise': ['flint'],
  'RmsNorm Elewise Linear Sigmoid Sort FusedExperts Linear Elewise Elewise': ['flint-biases'],
  'Linear RmsNorm RmsNorm Elewise Linear Elewise Sort Sigmoid Gather FusedExperts Linear Elewise RmsNorm': [
    'kolibri1',
  ],
  'Linear RmsNorm RmsNorm Elewise Linear Elewise Sort Sigmoid Gather VectorNorm Elewise FusedExperts Linear Elewise RmsNorm':
    ['kolibri1-normed'],
  'RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise':
    ['exaone_moe', 'glm4_moe', 'hy_v3', 'sarvam_moe', 'solar_open'],
  'RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather FusedExperts Linear Elewise Elewise':
    ['exaone_moe-groups', 'glm4_moe-groups', 'sarvam_moe-bias'],
  'RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather Elewise FusedExperts Linear Elewise Elewise':
    ['solar_open-groups'],
  [`${LATENT} RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather Elewise FusedExperts Linear Elewise Elewise`]:
    ['glm4_moe_lite-groups'],
  'LayerNorm Linear Split LayerNorm LayerNorm Rope ReshapeAndCache': ['phi-qk-norm'],
  'Split Elewise Fill Elewise Fill Elewise Fill Elewise Fill Elewise Fill Elewise Fill ReshapeAndCache': [
    'mpt-clipped',
  ],
  'RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise Elewise FusedExperts Linear Elewise Elewise': [
    'granitemoe_swa',
    'granitemoehybrid',
    'granitemoeshared',
  ],
  'Linear Split RmsNorm RmsNorm Rope ReshapeAndCache Linear RmsNorm Elewise Linear Softmax Sort FusedExperts RmsNorm Elewise':
    ['flex_olmo'],
  'Linear Split RmsNorm RmsNorm Rope ReshapeAndCache Linear RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise FusedExperts RmsNorm Elewise':
    ['flex_olmo-normed'],
  'Split RmsNorm RmsNorm Rope ReshapeAndCache RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise FusedExperts Elewise':
    ['minimax_m2', 'minimax_m2-tied'],
  // Gates of gpt-oss in MLPs; attention to chosen blocks.
  Activation: ['minimax_m3_vl_text', 'minimax_m3_vl_text-single'],
  'RmsNorm Linear Split RmsNorm RmsNorm Rope ReshapeAndCache LightningIndexer Linear BlockAttention RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise FusedExperts Linear Activation Linear Elewise Elewise':
    ['minimax_m3_vl_text', 'minimax_m3_vl_text-single'],
  'Activation Elewise Elewise Activation Activation Elewise Elewise Elewise Elewise Elewise Elewise Elewise Elewise Elewise Elewise Activation Activation Elewise Elewise Elewise Elewise Elewise Elewise':
    ['apertus', 'apertus-bias', 'apertus1p5', 'apertus1p5_text'],
  'RmsNorm Rope ReshapeAndCache Linear RmsNorm Linear RmsNorm Elewise Linear RmsNorm Elewise': [
    'gemma4',
    'gemma4_text',
  ],
  'Split RmsNorm RmsNorm Rope RmsNorm ReshapeAndCache Linear RmsNorm Linear RmsNorm Elewise Linear RmsNorm Elewise':
    ['gemma4', 'gemma4_text'],
  'Split RmsNorm RmsNorm Rope RmsNorm ReshapeAndCache Linear RmsNorm Linear RmsNorm RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise Gather Elewise Elewise RmsNorm FusedExperts RmsNorm Elewise RmsNorm Elewise':
    ['gemma4_text-experts'],
  [altup(VALUE_NORMED, '')]: ['gemma3n'],
  [altup(VALUE_NORMED, SPARSE_GATES)]: ['gemma3n', 'gemma3n_text'],
  [altup('RmsNorm Rope', '')]: ['gemma3n', 'gemma3n_text'],
  [altup(VALUE_NORMED, '', '')]: ['gemma3n_text-dense'],
  'Split Elewise CausalConv1d Elewise': ['lfm2', 'lfm2-biases', 'lfm2_moe', 'lfm3-plain'],
  [`${MAMBA} RmsNorm Elewise`]: [
    'bamba-groups',
    'granitemoehybrid-dense',
    'mamba2-biases',
    'nemotron_h',
    'zamba2-adapters',
  ],
  [`${MAMBA} RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise Elewise FusedExperts Linear Elewise Elewise`]:
    ['granitemoehybrid'],
  'RmsNorm Linear Linear Activation Elewise': [
    'hrm_text',
    'hrm_text-scaled',
    'qwen3_5_text',
    'qwen3_next-dense',
    'step3p5',
  ],
  'RmsNorm Linear Linear Activation Elewise Activation': ['step3p7'],
  [streamed(SPARSE, 'Linear')]: ['hy_v4', 'hy_v4-plain'],
  [streamed(SPARSE, STREAMED_EXPERTS.normed)]: ['hy_v4'],
  [streamed(SHARED_SPARSE, STREAMED_EXPERTS.normed)]: ['hy_v4'],
  [streamed(SPARSE, STREAMED_EXPERTS.plain)]: ['hy_v4-plain'],
  [streamed(SHARED_SPARSE, STREAMED_EXPERTS.plain)]: ['hy_v4-plain'],
  [clampedExperts('Elewise ', '')]: ['step3p5'],
  [clampedExperts('Elewise ', 'Activation ')]: ['step3p5'],
  [clampedExperts('', '')]: ['step3p7'],
  [GROWN_SPARSE]: ['mistral_large4'],
  // Keys of an earlier layer.
  [`RmsNorm Linear Split Slice Rope ${GROWN_INDEXER} Elewise Elewise Elewise Elewise Linear Concat SparseAttention Linear ${LARGE_EXPERTS}`]:
    ['mistral_large4'],
  'Split Slice Rope Elewise Elewise Elewise Elewise Linear Concat SparseAttention Linear': ['mistral_large4'],
  // Nothing turns.
  [`Split RmsNorm Elewise Elewise Elewise Linear ReshapeAndCache SparseAttention Linear ${LARGE_EXPERTS}`]: [
    'mistral_large4',
  ],
  [`RmsNorm Linear ${grownIndexer('', '')} Elewise Elewise Elewise Linear SparseAttention Linear ${LARGE_EXPERTS}`]:
    ['mistral_large4'],
  [`${GROWN_SPARSE} RmsNorm Elewise Linear Softmax Elewise GroupTopk Elewise Elewise Fill Sort VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise`]:
    ['mistral_large4-groups'],
  [DELTA]: ['qwen3_5_text'],
  [`${DELTA} RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise FusedExperts Linear Elewise Elewise`]: [
    'lara_mini',
  ],
  [`${DELTA} RmsNorm Elewise Linear Softmax Sort FusedExperts Linear Elewise Elewise`]: ['lara_mini-biases'],
  [`${DELTA} RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise FusedExperts Linear Linear Sigmoid Elewise Elewise Elewise`]:
    ['qwen3_5_moe_text', 'qwen3_next'],
  [`${DELTA} RmsNorm Elewise Linear Softmax Sort FusedExperts Linear Linear Sigmoid Elewise Elewise Elewise`]:
    ['qwen3_next-dense'],
  'RmsNorm Linear Linear Activation Elewise RmsNorm Elewise Linear Softmax Sort VectorNorm Elewise FusedExperts Linear Linear Sigmoid Elewise Elewise Elewise':
    ['qwen3_5_moe_text', 'qwen3_next'],
  'RmsNorm Linear Linear Activation Elewise Linear RmsNorm Linear RmsNorm': ['afmoe', 'lfm3'],
  'Split Elewise CausalConv1d Elewise Linear RmsNorm Linear RmsNorm': ['lfm3'],
  'RmsNorm Linear Linear Activation Elewise Linear RmsNorm RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise RmsNorm':
    ['afmoe', 'afmoe-plain'],
  [`${LATENT} RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise`]:
    ['glm4_moe_lite', 'sarvam_mla'],
  [`RmsNorm Linear ${MAMBA} Linear Linear Elewise`]: ['falcon_h1'],
  'RmsNorm Linear CausalConv1d Slice SelectiveScan Slice RmsNorm Elewise Activation Elewise Linear Linear Elewise':
    ['falcon_h1-normed'],
  'RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise FusedExperts Elewise': [
    'lfm2_moe',
  ],
  'RmsNorm Elewise Linear Sigmoid Sort Elewise FusedExperts Elewise': ['lfm2_moe-uncorrected'],
  'Split Elewise CausalConv1d Elewise RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise FusedExperts Elewise':
    ['lfm2_moe'],
  'Split Elewise CausalConv1d Elewise RmsNorm Elewise Linear Sigmoid Sort Elewise FusedExperts Elewise': [
    'lfm2_moe-uncorrected',
  ],
  'Linear Split RmsNorm RmsNorm ReshapeAndCache Linear RmsNorm Linear RmsNorm': ['olmo_hybrid'],
  'RmsNorm Linear Linear Slice CausalConv1d Slice CausalConv1d Slice CausalConv1d Concat Concat GatedDeltaRule RmsNorm Slice Activation Elewise':
    ['olmo_hybrid', 'olmo_hybrid-rotary'],
  [`${hyper(`Split ${toEntries('')}`)} ${BY_TABLE}`]: ['deepseek_v4'],
  [`${CHOSEN_ENTRIES} ${BY_ROOT}`]: ['deepseek_v4', 'deepseek_v4-unscaled'],
  [`${hyper(`RmsNorm Linear Split ${toEntries(`${ENTRY} `)}`)} ${BY_ROOT}`]: [
    'deepseek_v4',
    'deepseek_v4-unscaled',
  ],
  [`${CHOSEN_ENTRIES} ${BY_TABLE}`]: ['deepseek_v4-unscaled'],
  [SPARSE]: ['deepseek_v32', 'deepseek_v32-dense', 'glm_moe_dsa', 'glm_moe_dsa-shared'],
  [`${SPARSE} RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise`]:
    ['deepseek_v32'],
  [`${SPARSE} RmsNorm Elewise Linear Sigmoid Elewise Sort Gather Elewise FusedExperts Linear Elewise Elewise`]:
    ['deepseek_v32-dense', 'glm_moe_dsa-shared'],
  [`${SPARSE} RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise`]:
    ['glm_moe_dsa'],
  'Split Split RmsNorm Rope Linear Concat Concat ReshapeAndCache SparseAttention Linear RmsNorm Elewise Linear Sigmoid Elewise Sort Gather Elewise FusedExperts Linear Elewise Elewise':
    ['glm_moe_dsa-shared'],
  [GATED_SPARSE]: ['axk2', 'axk2-groups'],
  [`${GATED_SPARSE} ${GATED_NORM} Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise`]:
    ['axk2'],
  [`${GATED_SPARSE} ${GATED_NORM} Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather Elewise FusedExperts Linear Elewise Elewise`]:
    ['axk2-groups'],
  [`${BEAM_WINDOW} Linear RmsNorm`]: ['beam', 'beam-plain'],
  [`${BEAM_FULL} ${BEAM_GROUPS}`]: ['beam'],
  [`${BEAM_WINDOW} ${BEAM_GROUPS}`]: ['beam'],
  [`${BEAM_FULL} RmsNorm Elewise Linear Sigmoid Elewise Sort Gather Elewise FusedExperts RmsNorm`]: [
    'beam-plain',
  ],
  [`${POOL_DELTA} ${POOL_MLP}`]: ['glm5_next', 'glm5_next-shared'],
  [`${POOL_SPARSE} ${POOL_EXPERTS}`]: ['glm5_next'],
  [`${POOL_DELTA} ${POOL_EXPERTS}`]: ['glm5_next'],
  [`${POOL_SPARSE} ${POOL_MLP}`]: ['glm5_next-shared'],
  [`${POOL_SHARED} ${POOL_MLP}`]: ['glm5_next-shared'],
  [`${POOL_DELTA} ${POOL_GROUPS}`]: ['glm5_next-shared'],
  [KIMI_DELTA]: ['kimi_linear', 'kimi_linear-lora'],
  [`${KIMI_DELTA} RmsNorm Elewise Linear Sigmoid Elewise Sort Gather FusedExperts Linear Elewise Elewise`]: [
    'kimi_linear-lora',
  ],
  [`${KIMI_DELTA} RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise`]:
    ['kimi_linear'],
  'Split Split RmsNorm Linear Concat Concat ReshapeAndCache Linear RmsNorm Elewise Linear Sigmoid Elewise Sort Gather FusedExperts Linear Elewise Elewise':
    ['kimi_linear-lora'],
  'Split Split RmsNorm Linear Concat Concat ReshapeAndCache Linear RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise':
    ['kimi_linear'],
  [FULL_RANK_DELTA]: ['bailing_hybrid', 'bailing_hybrid-lora'],
  [`${FULL_RANK_DELTA} RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise`]:
    ['bailing_hybrid'],
  [`${GATED_LATENT} RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather VectorNorm Elewise Elewise Elewise FusedExperts Linear Elewise Elewise`]:
    ['bailing_hybrid'],
  [GATED_LATENT]: ['bailing_hybrid-lora'],
  [`${FULL_RANK_DELTA} RmsNorm Elewise Linear Sigmoid Elewise Sort Gather Elewise FusedExperts Linear Activation Linear Elewise Elewise`]:
    ['bailing_hybrid-lora'],
  [`${GATED_LATENT} RmsNorm Elewise Linear Sigmoid Elewise Sort Gather Elewise FusedExperts Linear Elewise Elewise`]:
    ['bailing_hybrid-lora'],
  [`${NGRAMS} ${ofStreams(STREAMS_DELTA, 'VectorNorm Elewise ')}`]: ['qwen4_exp_text'],
  [ofStreams('Activation Elewise', 'VectorNorm Elewise ')]: ['qwen4_exp_text'],
  [ofStreams(STREAMS_DELTA, '')]: ['qwen4_exp_text-pairs'],
  [`${NGRAMS} ${ofStreams(STREAMS_DELTA, '')}`]: ['qwen4_exp_text-pairs'],
  [ofStreams('Activation Elewise', '')]: ['qwen4_exp_text-pairs'],
  [MAMBA]: ['bamba', 'mamba2', 'nemotron_h-latent'],
  // Lightning attention, and attention, before experts; residuals are weighed.
  [`RmsNorm Slice SelectiveScan RmsNorm Linear Activation Elewise Linear ${WEIGHED}`]: [
    'minimax',
    'minimax-unweighed',
  ],
  [`RmsNorm Linear Linear ${WEIGHED}`]: ['minimax', 'minimax-unweighed'],
  // A transformer that layers share, with adapters of the MLP, and of attention too.
  [`Concat Linear RmsNorm Linear Linear Split Activation Elewise Linear Linear Elewise ${MAMBA} Elewise`]: [
    'zamba2',
  ],
  [`Concat RmsNorm Linear Split Linear Linear Elewise Linear Linear Elewise Linear Linear Elewise ReshapeAndCache Linear RmsNorm Linear Linear Split Activation Elewise Linear Linear Elewise ${MAMBA} RmsNorm Elewise Linear Elewise`]:
    ['zamba2-adapters'],
  // Blocks of Griffin.
  'CausalConv1d Linear RealGatedLru Slice Activation Elewise': ['recurrent_gemma', 'recurrent_gemma-biases'],
  // Mixers of Mamba with several heads, alone and behind a transformer that layers share.
  'CausalConv1d Linear Slice Slice Concat Concat Slice Linear SelectiveScan Slice Activation Elewise': [
    'zamba',
    'zamba-heads',
  ],
  'Concat Linear Linear Linear Elewise CausalConv1d Linear Slice Slice Concat Concat Slice Linear SelectiveScan Slice Activation Elewise Linear Elewise':
    ['zamba', 'zamba-heads'],
  // Attention of two groups of heads, to the same keys twice; of lambda, a number of the layer.
  'Split Rope Slice Concat ReshapeAndCache Slice Concat ReshapeAndCache Concat Slice Linear Sigmoid Elewise Sigmoid Elewise Linear Sigmoid Elewise Sigmoid Elewise Elewise Elewise Elewise Elewise Elewise Slice Elewise RmsNorm':
    ['diffllama', 'diffllama-biases'],
  [mixtureOfBoth(2)]: ['jetmoe'],
  [mixtureOfBoth(3)]: ['jetmoe-three'],
  // A bias under a name of its own.
  'Linear Elewise Elewise': ['gpt_neox_japanese', 'gpt_neox_japanese-untied'],
  // Mixers of the first Mamba, without norms of steps, B and C and with them.
  'CausalConv1d Linear Slice Slice Concat Linear SelectiveScan Slice Activation Elewise': [
    'mamba',
    'mamba-biases',
  ],
  'CausalConv1d Linear Slice Slice RmsNorm Slice RmsNorm Concat Concat SelectiveScan Slice Activation Elewise':
    ['falcon_mamba', 'falcon_mamba-biases', 'jamba', 'jamba-dense'],
  [`RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise Elewise ${UNGATED} Linear Elewise Elewise`]:
    ['nemotron_h'],
  [`RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather Elewise Linear ${UNGATED} Linear Elewise`]:
    ['nemotron_h-latent'],
  'RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise FusedExperts Linear Elewise Elewise':
    ['hy_v3-bias'],
  'RmsNorm Linear': ['cohere2_moe'],
  'RmsNorm Linear Elewise Linear Sort Sigmoid FusedExperts Elewise': ['cohere2_moe'],
  'LayerNorm Linear Elewise Linear Sort Softmax FusedExperts Linear Elewise Elewise Elewise': [
    'cohere2_moe-shared',
  ],
  'RmsNorm Linear Elewise Linear Sort Sigmoid VectorNorm Elewise FusedExperts Linear Elewise Elewise': [
    'cohere2_moe-sum',
  ],
  'RmsNorm Linear Linear Elewise Activation Elewise Activation Elewise Sigmoid Activation Elewise Elewise Elewise Elewise':
    ['laguna', 'laguna-per-element'],
  'RmsNorm Linear Linear Elewise Activation Elewise Activation Elewise Sigmoid Activation Elewise Elewise Elewise Elewise RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise Elewise FusedExperts Linear Elewise Elewise':
    ['laguna'],
  'RmsNorm Linear Linear Elewise Activation Elewise Activation Elewise Sigmoid Activation Elewise Elewise Elewise Elewise RmsNorm Elewise Linear Sigmoid Elewise Sort Gather VectorNorm Elewise FusedExperts Linear Elewise Elewise':
    ['laguna-per-element'],
  [`${LATENT} RmsNorm Elewise Linear Sigmoid Elewise Elewise GroupTopk Elewise Elewise Fill Sort Gather FusedExperts Linear Elewise Elewise`]:
    ['sarvam_mla-lora'],
  'Split Elewise Fill Elewise Fill Elewise Fill Elewise Fill Elewise Fill Elewise Fill Rope ReshapeAndCache LayerNorm Elewise Linear Softmax Sort VectorNorm Elewise FusedExperts Elewise':
    ['dbrx'],
  'Split Elewise Fill Elewise Fill Elewise Fill Elewise Fill Elewise Fill Elewise Fill Rope ReshapeAndCache LayerNorm Elewise Linear Softmax Sort FusedExperts Elewise':
    ['dbrx-unnormed'],
};

const typeOf = ({ op }: NodeSpec): string => ('type' in op ? op.type : 'graph');

/** What the passes leave in the layers of a case, each distinct list once. */
async function leftIn(name: string, kind: GraphKind): Promise<string[]> {
  await loadModels();
  const config = familyConfig(name);
  const Router = getRouter(config.model_type);
  const model = new Router('', config).createModel(declaredWeights('bf16', quantizationPlan({})));
  const [root, ...layers] = distinctGraphs(applyPasses(model.buildGraph(kind), 'all'));
  expect(root?.nodes.map(typeOf), 'the graph places its layers').to.include('graph');
  const lists = layers.map(({ nodes }) => nodes.map(typeOf).filter((type) => !FUSED.includes(type)));
  return [...new Set(lists.map((list) => list.join(' ')))];
}

describe('the passes on the graphs of every family', () => {
  for (const kind of [DECODE, PREFILL])
    it(`leave nothing but what is stated in ${kind.name}`, async () => {
      const found: Record<string, string[]> = {};
      for (const name of familyCases)
        for (const left of await leftIn(name, kind))
          if (left !== '') found[left] = [...(found[left] ?? []), name];
      const other = [...new Set([...Object.keys(found), ...Object.keys(LEFT)])].filter(
        (left) => found[left]?.join() !== LEFT[left]?.join(),
      );
      expect(other.map((left) => ({ left, found: found[left], stated: LEFT[left] }))).to.deep.equal([]);
    });
});
