import {
  biases,
  type ConfigOf,
  constant,
  decoder,
  defineConfig,
  field,
  LLAMA_DEFAULTS,
  layerKinds,
  slidingMixers,
  WIDTH,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import {
  type DeltaNetConfig,
  type DeltaNetParts,
  GatedDeltaNet,
} from '../../layers/recurrent/gated-delta-net.js';
import { registerModel, routerOf } from '../../router/index.js';
import { consecutiveRows } from '../../weights/row-orders.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { exaone4Attention } from '../exaone4/index.js';
import { deltaNetFields, hybridExperts } from '../qwen3_next/index.js';

const MIXERS = ['linear_attention', 'sliding_attention', 'full_attention'] as const;
/** In which order layers mix tokens where the file does not say it. */
const USUAL = [0, 1, 0, 2, 1].map((mixer) => MIXERS[mixer] as (typeof MIXERS)[number]);

/** Defaults of transformers 5.24, LaraMiniConfig. */
const LARA_MINI_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, numKeyValueHeads: 4, headDim: 128, tieWordEmbeddings: true }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    ...deltaNetFields({ keyHeads: 8, valueHeads: 16 }),
    ...hybridExperts(128, 4),
    /** Of the one MLP that is none of the experts: all tokens pass through it. */
    intermediateSize: field('shared_expert_intermediate_size', WIDTH, 512),
    mixers: layerKinds(MIXERS, (layer) => USUAL[layer % USUAL.length] as (typeof MIXERS)[number]),
    /** Layers that see everything know no positions. */
    isHybrid: constant(true),
    slidingWindows: slidingMixers(512),
  },
  irrelevant: { intermediate_size: 'no layer has an MLP of that width' },
});
type LaraMiniConfig = ConfigOf<typeof LARA_MINI_CONFIG>;

/** One tensor of all that linear attention makes of its input. */
function deltaNetParts({ keyHeads, valueHeads, keySize, valueSize }: DeltaNetConfig): DeltaNetParts {
  const [keys, values] = [keyHeads * keySize, valueHeads * valueSize];
  const sizes = [keys, keys, values, values, valueHeads, valueHeads];
  const parts = consecutiveRows(sizes).map((rows, at) => ({
    name: 'in_proj',
    rows,
    outFeatures: sizes[at] as number,
  }));
  return {
    qkvz: parts.slice(0, 4) as unknown as DeltaNetParts['qkvz'],
    gates: parts.slice(4) as unknown as DeltaNetParts['gates'],
    norm: 'out_norm',
  };
}

const sparseMLP = (config: LaraMiniConfig, weights: Weights): SparseMLP =>
  new SparseMLP({
    router: new ExpertRouter({ ...config, scoring: 'softmax' }, weights),
    experts: new Experts(config, weights.at('experts')),
    shared: new BaseMLP(config, weights.at('shared_expert')),
  });

/** Linear attention by the gated delta rule, EXAONE 4's attention with windows and without, and experts everywhere. */
export class FlashLaraMiniForCausalLMATB extends FlashForCausalLMATB<LaraMiniConfig> {
  readonly name = 'lara_mini';
  protected readonly model: BaseModelATB;

  constructor(config: LaraMiniConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    this.model = new BaseModelATB(config, weights.at('model'), {
      layer: (layerId, at) => {
        const mixer = config.mixers[layerId];
        const parts = {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn:
            mixer === 'linear_attention'
              ? new GatedDeltaNet(layerId, config, at.at('linear_attn'), deltaNetParts(config))
              : exaone4Attention(layerId, config, at.at('self_attn')),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: sparseMLP(config, at.at('mlp')),
        };
        return new PreNormLayer(layerId, at, parts, mixer);
      },
      norm: norm(weights.at('model').at('norm')),
    });
  }
}

export const LaraMiniRouter = routerOf(LARA_MINI_CONFIG, FlashLaraMiniForCausalLMATB, {
  about: {
    kind: 'experts',
    features: [
      ...['gated delta rule', 'norms of q and k', 'windows by layer', 'layers without rotary'],
      'a shared expert',
    ],
    reference: 'transformers',
  },
});
registerModel('lara_mini', LaraMiniRouter);
