import { LatentAttention } from '../../layers/attention/latent-attention.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { ZERO_EXPERTS_OUT, ZeroExpertsMLP } from '../../layers/experts/zero-experts.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { MLPWithShortcut, ShortcutEnd } from '../../layers/mlp/shortcut.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import type { Weights } from '../../weights/weights.js';
import type { LongcatFlashConfig } from './config.js';

/** The parts of one half of a layer; `layer` is the window of both. */
function partsOf(layerId: number, config: LongcatFlashConfig, layer: Weights) {
  const half = layerId % 2;
  const { hiddenSize, rmsNormEps, qLoraRank, kvLoraRank } = config;
  const norm = (name: string) =>
    new BaseRMSNorm(layer.at(name).at(half), hiddenSize, rmsNormEps, undefined, name);
  const scales = {
    queryScale: Math.sqrt(hiddenSize / qLoraRank),
    latentScale: Math.sqrt(hiddenSize / kvLoraRank),
  };
  return {
    inputLayernorm: norm('input_layernorm'),
    selfAttn: new LatentAttention(layerId, config, layer.at('self_attn').at(half), scales),
    postAttentionLayernorm: norm('post_attention_layernorm'),
    mlp: new BaseMLP(config, layer.at('mlps').at(half)),
  };
}

/** Experts, some of which give back what they get; `weights` is the window of both they and their router stand in. */
function expertsOf(config: LongcatFlashConfig, weights: Weights): SparseMLP {
  const { numExperts, zeroExperts } = config;
  const names = { gate: 'classifier.weight', correction: 'e_score_correction_bias' };
  const routing = { ...config, numExperts: numExperts + zeroExperts };
  const parts = {
    router: new ExpertRouter(routing, weights.at('router'), names),
    experts: new Experts(config, weights.at('experts')),
  };
  return zeroExperts === 0
    ? new SparseMLP(parts)
    : new ZeroExpertsMLP(parts, weights, [numExperts, zeroExperts]);
}

/** Halves of layers, one after another; `layer` is the window of both. */
export function longcatHalf(layerId: number, config: LongcatFlashConfig, layer: Weights): PreNormLayer {
  const parts = partsOf(layerId, config, layer);
  const result = config.zeroExperts === 0 ? 'experts_out' : ZERO_EXPERTS_OUT;
  if (layerId % 2 === 0) {
    const mlp = new MLPWithShortcut(parts.mlp, expertsOf(config, layer.at('mlp')), result);
    return new PreNormLayer(layerId, layer, { ...parts, mlp }, 'first');
  }
  return new ShortcutEnd(layerId, layer, parts, `${result}_${layerId - 1}`, 'second');
}
