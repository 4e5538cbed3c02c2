import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { ExpertStacks } from '../../weights/expert-stacks.js';
import { transposed } from '../../weights/weight-changes.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { DBRX_CONFIG, type DbrxConfig } from './config-dbrx.js';

/** Experts lie one below the other in each tensor, [experts * width, hidden], and what leads back is transposed. */
const stacksOf = (width: number): ExpertStacks => ({
  'gate_proj.weight': { tensor: 'w1', rows: width },
  'up_proj.weight': { tensor: 'v1', rows: width },
  'down_proj.weight': { tensor: 'w2', rows: width, part: transposed },
});

const HEAD = { embedding: 'transformer.wte', head: 'lm_head' };
/** Of LayerNorm in torch, where nothing says it. */
const EPSILON = 1e-5;

/** DBRX: bounded queries, keys and values, LayerNorms without biases, and experts in every layer. */
export class FlashDbrxForCausalLMATB extends FlashForCausalLMATB<DbrxConfig> {
  readonly name = 'dbrx';
  protected readonly model: BaseModelATB;

  constructor(config: DbrxConfig, weights: Weights) {
    super(config, weights, { names: HEAD });
    const norm = (at: Weights) => new BaseLayerNorm(at, config.hiddenSize, EPSILON, { hasBias: false });
    const qkv = { packed: 'Wqkv', order: 'blocks' } as const;
    const attention = { qkv, dense: 'out_proj', clip: config.clipQkv };
    const stacks = stacksOf(config.moeIntermediateSize);
    const inner = weights.at('transformer');
    this.model = new BaseModelATB(config, inner, {
      names: { embedding: 'wte', layers: 'blocks' },
      layer(layerId, at) {
        const [first, ffn] = [at.at('norm_attn_norm'), at.at('ffn')];
        return new PreNormLayer(layerId, at, {
          inputLayernorm: norm(first.at('norm_1')),
          selfAttn: new RotaryAttention(layerId, config, first.at('attn'), attention),
          postAttentionLayernorm: norm(first.at('norm_2')),
          mlp: new SparseMLP({
            router: new ExpertRouter({ ...config, scoring: 'softmax' }, ffn, { gate: 'router.layer.weight' }),
            experts: new Experts(config, ffn.at('experts').at('mlp'), { stacks }),
          }),
        });
      },
      norm: norm(inner.at('norm_f')),
    });
  }
}

export const DbrxRouter = routerOf(DBRX_CONFIG, FlashDbrxForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['LayerNorm', 'bounded projections', 'q, k and v packed'],
    reference: 'transformers',
  },
  headNames: HEAD,
});
registerModel('dbrx', DbrxRouter);
