import type { AtbGraph } from '../../graph/atb-graph.js';
import type { AttentionOptions, Qkv } from '../../layers/attention/base-attention.js';
import type { AttentionConfig } from '../../layers/attention-config.js';
import { LowRankAdapter } from '../../layers/linear/low-rank-adapter.js';
import { ADAPTER_SHARES } from '../../step-inputs/index.js';
import { renamed, type Weights } from '../../weights/weights.js';
import { FlashGraniteForCausalLMATB, type GraniteConfig } from '../granite/index.js';
import { LlamaAttention } from '../llama/index.js';
import type { AdapterConfig, AdapterTarget } from './config.js';

/** Of an adapter's products in the checkpoint. */
const NAMES = { down: 'lora_A', up: 'lora_B' };

/** Attention with adapters of some projections, which count for tokens of prompts with sound alone. */
class SwitchedAttention extends LlamaAttention {
  private readonly adapters: readonly LowRankAdapter[];
  private readonly targets: readonly AdapterTarget[];

  /** Throws what `BaseAttention` throws. */
  constructor(
    layerId: number,
    config: AttentionConfig,
    weights: Weights,
    options: AttentionOptions,
    { rank, targets }: AdapterConfig,
  ) {
    super(layerId, config, weights, options);
    const { hiddenSize: inFeatures, headDim, numAttentionHeads, numKeyValueHeads } = config;
    this.targets = targets;
    this.adapters = targets.map((target) => {
      const outFeatures = headDim * (target === 'q_proj' ? numAttentionHeads : numKeyValueHeads);
      const sizes = { inFeatures, rank, outFeatures };
      return new LowRankAdapter(target, sizes, weights.at(target), { names: NAMES, shares: ADAPTER_SHARES });
    });
  }

  override buildQkvGraph(graph: AtbGraph, input: string): Qkv {
    const { q, k, v } = super.buildQkvGraph(graph, input);
    const adapted = (target: AdapterTarget, projected: string): string =>
      this.adapters[this.targets.indexOf(target)]?.buildGraph(graph, input, projected) ?? projected;
    return { q: adapted('q_proj', q), k: adapted('k_proj', k), v: adapted('v_proj', v) };
  }
}

/** What its own configuration says of the text within. */
type SwitchedConfig = GraniteConfig & { readonly adapter: AdapterConfig };

/** Granite whose attention has adapters for prompts with sound. */
export class SwitchedGraniteATB extends FlashGraniteForCausalLMATB {
  protected override attention(layerId: number, weights: Weights, options: AttentionOptions): LlamaAttention {
    const { adapter } = this.config as SwitchedConfig;
    return new SwitchedAttention(layerId, this.config, weights, options, adapter);
  }
}

/** Adapters may have the names of tensors of transformers 5, too, in which parts of the whole stand otherwise. */
export const withAdapterNames = (weights: Weights): Weights =>
  weights.mapped((source) =>
    renamed(source, (name) => {
      const other = name.replace(/^language_model\.model\./, 'model.language_model.');
      return /\.lora_[AB]\.weight$/.test(name) && !source.has(name) && source.has(other) ? other : name;
    }),
  );
