import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { CompressedAttention } from '../../layers/attention/compressed-attention.js';
import { addEntryRows, ENTRY_LAYER_ROWS, entryTables } from '../../layers/attention/entry-rows.js';
import { ROTARY_ROWS } from '../../layers/attention/rotary-rows.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { RootSoftplusRouter, TableRouter } from '../../layers/experts/root-softplus-router.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import {
  EqualStreams,
  HyperHead,
  type HyperNames,
  hyperNames,
} from '../../layers/streams/hyper-connection.js';
import { HyperLayer } from '../../layers/streams/hyper-layer.js';
import { MixingConnection } from '../../layers/streams/mixing-connection.js';
import { registerModel, routerOf } from '../../router/index.js';
import {
  blockTokens,
  entries,
  type RotaryTables,
  rotaryTables,
  type StepInput,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB, buildRotaryRows } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { DEEPSEEK_V4_CONFIG, type DeepseekV4Config } from './config.js';

const HEAD = { embedding: 'embed', head: 'head' };

/** Where the model's tensors are, and how some are called: in published files, and in files that transformers saved. */
interface FileNames {
  readonly inner: Weights;
  readonly embedding: string;
  readonly end: HyperNames;
}

function fileNames(weights: Weights): FileNames {
  const inner = weights.at('model');
  if (!inner.has('embed_tokens.weight'))
    return { inner: weights, embedding: 'embed', end: hyperNames('hc_head') };
  return { inner, embedding: 'embed_tokens', end: hyperNames('hc_head.hc') };
}

/** Experts beside an MLP that all tokens pass through, both with clamped gates. */
function expertsOf(config: DeepseekV4Config, weights: Weights, isHashed: boolean): SparseMLP {
  const names = { gate: 'w1', up: 'w3', down: 'w2' };
  const clamp = { limit: config.swigluLimit, clampForm: 'gates' } as const;
  return new SparseMLP({
    router: isHashed
      ? new TableRouter(config, weights, 'gate.tid2eid')
      : new RootSoftplusRouter(config, weights, { gate: 'gate.weight', correction: 'gate.bias' }),
    experts: new Experts({ ...config, clamp }, weights.at('experts'), names),
    shared: new BaseMLP(config, weights.at('shared_experts'), { names, clamp }),
  });
}

const layerOf = (config: DeepseekV4Config, layerId: number, weights: Weights): HyperLayer => {
  const { hiddenSize, rmsNormEps, entryUses, hashLayers } = config;
  const isHashed = hashLayers[layerId] ?? false;
  const norm = (name: string) => new BaseRMSNorm(weights.at(name), hiddenSize, rmsNormEps);
  const around = (name: string) => new MixingConnection(config, weights, name, hyperNames(name));
  const parts = {
    aroundAttention: around('hc_attn'),
    inputLayernorm: norm('attn_norm'),
    selfAttn: new CompressedAttention(layerId, config, weights.at('attn')),
    aroundMlp: around('hc_ffn'),
    postAttentionLayernorm: norm('ffn_norm'),
    mlp: expertsOf(config, weights.at('ffn'), isHashed),
  };
  return new HyperLayer(layerId, weights, parts, `${entryUses[layerId]}${isHashed ? '_hashed' : ''}`);
};

/** How many tokens entries of a model's layers stand for: each number once, also where both kinds of layers have it. */
const entrySizes = ({ entryUses, tokensPerEntry }: DeepseekV4Config): number[] => [
  ...new Set(entryUses.filter((use) => use !== 'none').map((use) => tokensPerEntry[use])),
];

/** Layers read several streams, each of which begins as the embedding. */
class DeepseekV4Model extends BaseModelATB {
  readonly begin: EqualStreams;

  constructor(
    private readonly config: DeepseekV4Config,
    { inner, embedding, end }: FileNames,
  ) {
    const { hiddenSize, rmsNormEps } = config;
    super(config, inner, {
      layer: (layerId, at) => layerOf(config, layerId, at),
      norm: new HyperHead(config, inner, end, new BaseRMSNorm(inner.at('norm'), hiddenSize, rmsNormEps)),
      names: { embedding, layers: 'layers' },
    });
    this.begin = new EqualStreams(config, inner);
  }

  override buildInputGraph(graph: AtbGraph, kind: GraphKind): string {
    return this.begin.buildGraph(graph, super.buildInputGraph(graph, kind));
  }

  override buildPositionalEmbeddingGraph(graph: AtbGraph): void {
    const { config } = this;
    const compress = entryTables(config.compressRope);
    if (config.entryUses.includes('none'))
      buildRotaryRows(graph, 'positional_embedding', rotaryTables(config.rope), ROTARY_ROWS);
    const sizes = entrySizes(config);
    if (sizes.length > 0) buildRotaryRows(graph, 'compress_embedding', compress, ENTRY_LAYER_ROWS);
    for (const size of sizes) addEntryRows(graph, compress, size);
  }
}

/** DeepSeek-V4: attention to a window and to entries of several tokens, streams of hidden states, experts. */
export class FlashDeepseekV4ForCausalLMATB extends FlashForCausalLMATB<DeepseekV4Config> {
  readonly name = 'deepseek_v4';
  protected readonly model: DeepseekV4Model;

  constructor(config: DeepseekV4Config, weights: Weights) {
    super(config, weights, { names: HEAD });
    this.model = new DeepseekV4Model(config, fileNames(weights));
  }

  override get stepInputs(): readonly StepInput[] {
    return [...super.stepInputs, ...entrySizes(this.config).map(entries), blockTokens];
  }

  protected override get otherRotaryTables(): readonly RotaryTables[] {
    return entrySizes(this.config).length > 0 ? [entryTables(this.config.compressRope)] : [];
  }
}

export const DeepseekV4Router = routerOf(DEEPSEEK_V4_CONFIG, FlashDeepseekV4ForCausalLMATB, {
  headNames: HEAD,
  // Layers behind the last that guess further tokens.
  harmlessTensors: [/^(model\.)?mtp\./],
  about: {
    kind: 'experts',
    features: [
      'attention to entries of several tokens',
      'windows with sinks',
      'hyper-connections',
      'experts by a table of tokens',
      'clamped SwiGLU',
    ],
    reference: 'transformers',
  },
});
registerModel('deepseek_v4', DeepseekV4Router);
