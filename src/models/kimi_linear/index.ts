import { LatentAttention } from '../../layers/attention/latent-attention.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP, sharedMLP } from '../../layers/experts/experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { KimiDeltaAttention } from '../../layers/recurrent/kimi-delta-attention.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { KIMI_LINEAR_CONFIG, type KimiLinearConfig } from './config-kimi-linear.js';

export * from './config-kimi-linear.js';

/** Experts, chosen as in DeepSeek-V3. */
function sparseMLP(config: KimiLinearConfig, at: Weights): SparseMLP {
  const names = { gate: 'gate.weight', correction: 'gate.e_score_correction_bias' };
  return new SparseMLP({
    router: new ExpertRouter({ ...config, scoring: 'sigmoid', sumGuard: { added: 1e-20 } }, at, names),
    experts: new Experts(config, at.at('experts'), { gate: 'w1', up: 'w3', down: 'w2' }),
    shared: sharedMLP(config, at.at('shared_experts')),
  });
}

/** Kimi Linear (arXiv:2510.26692): most layers have linear attention, the others latent attention that knows no positions. */
export class FlashKimiLinearForCausalLMATB extends FlashForCausalLMATB<KimiLinearConfig> {
  readonly name = 'kimi_linear';
  protected readonly model: BaseModelATB;

  constructor(config: KimiLinearConfig, weights: Weights) {
    super(config, weights);
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const layer = (layerId: number, at: Weights) => {
      const [attends, isSparse] = [config.attends[layerId], config.sparseLayers[layerId]];
      // Where transformers wrote the file, MLPs have the name of experts, too.
      const dense = at.has('mlp.gate_proj.weight') ? 'mlp' : 'block_sparse_moe';
      const parts = {
        inputLayernorm: norm(at.at('input_layernorm')),
        selfAttn: attends
          ? new LatentAttention(layerId, config, at.at('self_attn'))
          : new KimiDeltaAttention(layerId, config, at.at('self_attn')),
        postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
        mlp: isSparse ? sparseMLP(config, at.at('block_sparse_moe')) : new BaseMLP(config, at.at(dense)),
      };
      const variant = [attends ? '' : 'linear', isSparse ? 'sparse' : ''];
      return new PreNormLayer(layerId, at, parts, variant.filter((part) => part !== '').join('_'));
    };
    const inner = weights.at('model');
    this.model = new BaseModelATB(config, inner, { layer, norm: norm(inner.at('norm')) });
  }
}

export const KimiLinearRouter = routerOf(KIMI_LINEAR_CONFIG, FlashKimiLinearForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['delta rule that decays by channel', 'latent attention without rotary', 'corrected choice'],
    reference: 'transformers',
  },
});
registerModel('kimi_linear', KimiLinearRouter);
