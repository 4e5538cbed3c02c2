import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  bothSpellings,
  type ConfigOf,
  constant,
  defineConfig,
  field,
  fullAttention,
  multiHeadAttention,
  positive,
  textModel,
  WIDTH,
} from '../../layers/config/index.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { type HeadNames, registerModel, routerOf } from '../../router/index.js';
import { type StepInput, sinusoids } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { SinusoidalModelATB } from '../base/sinusoidal-model-atb.js';

/** Defaults of transformers 5.24, CTRLConfig. */
const CTRL_CONFIG = defineConfig({
  fields: {
    ...textModel({ tieWordEmbeddings: true }),
    ...multiHeadAttention,
    ...bothSpellings,
    maxPositionEmbeddings: field(['n_positions', 'max_position_embeddings'], WIDTH, 256),
    intermediateSize: field('dff', WIDTH, 8192),
    hiddenAct: constant('relu' as const),
    /** Of the norm behind all layers alone. */
    lastNormEps: field('layer_norm_epsilon', positive(1), 1e-6),
    ...biases({ qkv: true, dense: true, mlp: true }),
    slidingWindows: fullAttention,
  },
  irrelevant: { n_ctx: 'n_positions is what the table of positions has' },
});
type CtrlConfig = ConfigOf<typeof CTRL_CONFIG>;
const HEAD: HeadNames = { embedding: 'transformer.w', head: 'lm_head' };
/** Of the norms in layers, whatever config.json says. */
const LAYER_EPS = 1e-6;

/** CTRL (arXiv:1909.05858): norms before its steps, ReLU, and a head with a bias over tied weights. */
export class FlashCtrlForCausalLMATB extends FlashForCausalLMATB<CtrlConfig> {
  readonly name = 'ctrl';
  protected readonly model: SinusoidalModelATB;

  constructor(config: CtrlConfig, weights: Weights) {
    super(config, weights, { names: HEAD, hasBias: true });
    const { hiddenSize, lastNormEps } = config;
    const norm = (at: Weights, eps = LAYER_EPS) => new BaseLayerNorm(at, hiddenSize, eps);
    const inner = weights.at('transformer');
    const names = { qkv: { q: 'Wq', k: 'Wk', v: 'Wv' }, dense: 'dense' };
    this.model = new SinusoidalModelATB(config, inner, {
      layer: (layerId, at) =>
        new PreNormLayer(layerId, at, {
          inputLayernorm: norm(at.at('layernorm1')),
          selfAttn: new PositionFreeAttention(layerId, config, at.at('multi_head_attention'), names),
          postAttentionLayernorm: norm(at.at('layernorm2')),
          mlp: new UngatedMLP(config, at.at('ffn'), { names: { up: '0', down: '2' } }),
        }),
      norm: norm(inner.at('layernorm'), lastNormEps),
      names: { embedding: 'w', layers: 'h' },
      embeddingScale: Math.sqrt(hiddenSize),
    });
  }

  override get stepInputs(): readonly StepInput[] {
    const { hiddenSize } = this.config;
    return [...super.stepInputs, sinusoids({ hiddenSize, firstRow: 0, steps: hiddenSize / 2 })];
  }
}

export const CtrlRouter = routerOf(CTRL_CONFIG, FlashCtrlForCausalLMATB, {
  headNames: HEAD,
  about: {
    kind: 'positions',
    features: ['sinusoids', 'scaled embeddings', 'MLP without a gate'],
    reference: 'transformers',
  },
});
registerModel('ctrl', CtrlRouter);
