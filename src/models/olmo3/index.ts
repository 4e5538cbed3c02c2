import type { AtbGraph } from '../../graph/atb-graph.js';
import { NormedRotaryAttention } from '../../layers/attention-orders.js';
import {
  biases,
  type ConfigOf,
  decoder,
  defineConfig,
  type Field,
  rotaryConfigByLayerType,
  slidingByLayer,
} from '../../layers/config/index.js';
import { BaseRMSNorm } from '../../layers/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { RopeConfig, RotaryTables } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { buildRotaryGraphs, SlidingRotaryAttention, slidingRotaryTables } from '../base/sliding-rotary.js';
import { Olmo2Layer, olmo2Norms } from '../olmo2/index.js';

const THETA = 500_000;
interface Ropes {
  readonly ropes: { readonly full_attention: RopeConfig; readonly sliding_attention: RopeConfig };
}
const fullRope: Field<RopeConfig, Ropes> = { read: (_, { ropes }) => ropes.full_attention };

/** Defaults of transformers 5.24, Olmo3Config. */
const OLMO3_CONFIG = defineConfig({
  fields: {
    ...decoder({
      numKeyValueHeads: 'num_attention_heads',
      headDim: 'hidden_size / num_attention_heads',
      hiddenAct: 'silu',
      rmsNormEps: 1e-5,
      ropeTheta: THETA,
      tieWordEmbeddings: false,
    }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    // Layers with a window never look beyond the original context, and are not scaled.
    ropes: rotaryConfigByLayerType({
      full_attention: { theta: THETA, isScaled: true },
      sliding_attention: { theta: THETA, isScaled: false },
    }),
    rope: fullRope,
    slidingWindows: slidingByLayer({ window: 4096, slidingWindowPattern: 4 }),
  },
});
type Olmo3Config = ConfigOf<typeof OLMO3_CONFIG>;

export class Olmo3ModelATB extends BaseModelATB {
  constructor(
    private readonly config: Olmo3Config,
    weights: Weights,
  ) {
    super(config, weights, {
      layer(layerId, at) {
        const slides = config.slidingWindows[layerId] !== undefined;
        const Attention = slides ? SlidingRotaryAttention : NormedRotaryAttention;
        const own = at.at('self_attn');
        return new Olmo2Layer(
          layerId,
          config,
          at,
          new Attention(layerId, config, own, olmo2Norms(config, own)),
        );
      },
      norm: new BaseRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps),
    });
  }

  override buildPositionalEmbeddingGraph(graph: AtbGraph): void {
    buildRotaryGraphs(graph, this.config.slidingWindows, () => super.buildPositionalEmbeddingGraph(graph));
  }
}

/** OLMo 2 with windows in three of four layers, and with another rotary embedding in these. */
export class FlashOlmo3ForCausalLMATB extends FlashForCausalLMATB<Olmo3Config> {
  readonly name = 'olmo3';
  protected readonly model: Olmo3ModelATB;

  constructor(config: Olmo3Config, weights: Weights) {
    super(config, weights);
    this.model = new Olmo3ModelATB(config, weights.at('model'));
  }

  protected override get otherRotaryTables(): readonly RotaryTables[] {
    return [slidingRotaryTables(this.config.ropes.sliding_attention)];
  }
}

export const Olmo3Router = routerOf(OLMO3_CONFIG, FlashOlmo3ForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['as olmo2', 'windows by layer', 'two rotary embeddings'],
    reference: 'transformers',
  },
});
registerModel('olmo3', Olmo3Router);
