import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { GatedRotaryAttention } from '../../layers/attention/gated-attention.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { NoNorm, UnscaledRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { consecutiveRows, type PackedRows } from '../../weights/row-orders.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { glmMlp } from '../glm/index.js';
import { HRM_TEXT_CONFIG, type HrmTextConfig } from './config-hrm-text.js';

/** Llama's layer with gates of what was attended to, whose norms have no weights. `weights` is the layer's own. */
function stackLayer(layerId: number, config: HrmTextConfig, weights: Weights): PreNormLayer {
  const { numAttentionHeads, headDim, hiddenSize, rmsNormEps } = config;
  const norm = (name: string) => new UnscaledRMSNorm(weights.at(name), hiddenSize, rmsNormEps);
  const sizes = Array.from({ length: 4 }, () => numAttentionHeads * headDim);
  const [gate, ...rows] = consecutiveRows(sizes) as [PackedRows, PackedRows, PackedRows, PackedRows];
  const name = 'gqkv_proj';
  const options = { qkv: { packed: name, rows } };
  const attention = weights.at('attn');
  return new PreNormLayer(layerId, weights, {
    inputLayernorm: norm('input_layernorm'),
    selfAttn: new GatedRotaryAttention(layerId, config, attention, undefined, { name, rows: gate }, options),
    postAttentionLayernorm: norm('post_attention_layernorm'),
    mlp: glmMlp(config, weights.at('mlp')),
  });
}

/**
 * Two stacks of layers that are passed again and again: the low one several times for each time that the high one is,
 * each of which reads the sum of what both gave last. Every pass has keys and values of its own.
 */
class HrmTextModelATB extends BaseModelATB {
  /** What the low stack gave before it was first passed, [hidden]. */
  private readonly firstLow: TensorRef;
  private readonly stackNorms: readonly UnscaledRMSNorm[];
  private readonly isHigh: readonly boolean[];

  constructor(config: HrmTextConfig, weights: Weights) {
    const { highCycles, lowCycles, numHiddenLayers, hiddenSize, rmsNormEps, embeddingScale } = config;
    const passes = highCycles * (lowCycles + 1);
    const isHigh = Array.from({ length: passes }, (_, pass) => pass % (lowCycles + 1) === lowCycles);
    const stackLayers = numHiddenLayers / passes;
    super(config, weights, {
      layer(layerId) {
        const stack = isHigh[Math.floor(layerId / stackLayers)] ? 'H_module' : 'L_module';
        return stackLayer(
          layerId,
          config,
          weights
            .at(stack)
            .at('layers')
            .at(layerId % stackLayers),
        );
      },
      norm: new NoNorm(),
      embeddingScale,
    });
    this.isHigh = isHigh;
    this.firstLow = weights.get('z_L_init', [hiddenSize]);
    this.stackNorms = isHigh.map(
      (_, pass) => new UnscaledRMSNorm(weights.at(`pass_${pass}_norm`), hiddenSize, rmsNormEps),
    );
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.firstLow];
  }

  override buildLayersGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const stackLayers = this.layers.length / this.isHigh.length;
    let [high, low] = [input, this.firstLow.name];
    for (const [pass, norm] of this.stackNorms.entries()) {
      let hidden = addResidual(graph, high, low, `pass_${pass}_in`);
      for (const layer of this.layers.slice(pass * stackLayers, (pass + 1) * stackLayers))
        hidden = layer.buildGraph(graph, kind, hidden);
      const normed = norm.buildGraph(graph, hidden);
      if (this.isHigh[pass]) high = normed;
      else low = normed;
    }
    return high;
  }
}

/** HRM-Text: a slow and a fast stack of gated layers in turn (arXiv:2506.21734 is where the idea is from). */
export class FlashHrmTextForCausalLMATB extends FlashForCausalLMATB<HrmTextConfig> {
  readonly name = 'hrm_text';
  protected readonly model: HrmTextModelATB;

  constructor(config: HrmTextConfig, weights: Weights) {
    super(config, weights);
    this.model = new HrmTextModelATB(config, weights.at('model'));
  }
}

export const HrmTextRouter = routerOf(HRM_TEXT_CONFIG, FlashHrmTextForCausalLMATB, {
  about: {
    kind: 'variant',
    features: ['two stacks of layers that are passed in turn', 'gated attention', 'RMSNorm without weights'],
    reference: 'transformers',
  },
});
registerModel('hrm_text', HrmTextRouter);
