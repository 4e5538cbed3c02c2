import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import {
  biases,
  type ConfigOf,
  constant,
  type DecoderConfig,
  decoder,
  defineConfig,
  field,
  fullAttention,
  LLAMA_DEFAULTS,
  labels,
  oneOf,
  only,
} from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import {
  ActivatedDense,
  ClassificationHead,
  HiddenRows,
  type RowHead,
  TextMeans,
} from '../../layers/heads/row-heads.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import {
  headRows,
  lengths,
  type RopeConfig,
  rotary,
  slidingMasks,
  slidingRotaryTables,
  tokenIds,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { TextEncoderATB } from '../base/text-encoder-atb.js';

/** Defaults of transformers 5.24, EuroBertConfig. */
const EUROBERT_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, rmsNormEps: 1e-5 }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: 'mlp_bias' }),
    slidingWindows: fullAttention,
    isCausal: constant(false),
    isDecoder: field('is_decoder', only(false), false),
    labels,
    classifierPooling: field('classifier_pooling', oneOf('bos', 'mean', 'late'), 'late'),
  },
  irrelevant: {
    is_causal: 'EuroBertAttention is never causal',
    sentence_transformers: 'is read by whoever ranks',
    mask_token_id: 'is an id that the tokenizer knows',
    ...{ bos_token: 'is read by the tokenizer', eos_token: 'is read by the tokenizer' },
    ...{ pad_token: 'is read by the tokenizer', mask_token: 'is read by the tokenizer' },
  },
});
type EuroBertConfig = ConfigOf<typeof EUROBERT_CONFIG>;

/** The means of what a classifier makes of each token of a text: [rows, hidden]. */
class MeansOfSteps extends TextMeans {
  constructor(
    sizes: EuroBertConfig,
    readonly step: ActivatedDense,
  ) {
    super(sizes);
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, hidden: string, out?: string): string {
    return super.buildGraph(graph, kind, this.step.buildGraph(graph, hidden), out);
  }
}

/** What a classifier reads: a text's first token, the mean of all, or the mean of what its first product makes of each. */
function classifierOf(weights: Weights, config: EuroBertConfig): ClassificationHead | undefined {
  const { hiddenSize, labels, classifierPooling: pooling } = config;
  if (labels === undefined) return undefined;
  const step = new ActivatedDense(weights, 'dense', hiddenSize, 'gelu');
  const sizes = { hiddenSize, labels, name: 'classifier', hasBias: true };
  if (pooling === 'late')
    return new ClassificationHead(weights, { ...sizes, rows: new MeansOfSteps(config, step) });
  const rows = pooling === 'mean' ? new TextMeans(config) : new HiddenRows();
  return new ClassificationHead(weights, { ...sizes, step, rows });
}

/** Llama whose tokens all see each other, or those around them in layers with windows. `inner`: where its layers are. */
export class LlamaEncoderATB<
  C extends DecoderConfig & { readonly rope: RopeConfig },
> extends TextEncoderATB<C> {
  constructor(name: string, config: C, inner: Weights, head: RowHead | undefined) {
    const { hiddenSize, rmsNormEps, rope, slidingRope, slidingWindows } = config;
    const norm = (at: Weights) => new BaseRMSNorm(at, hiddenSize, rmsNormEps);
    super({
      name,
      config,
      stepInputs: [
        tokenIds,
        rotary(rope, slidingRope ? [slidingRotaryTables(slidingRope)] : []),
        lengths,
        ...slidingMasks(slidingWindows, true),
        headRows,
      ],
      body: new BaseModelATB(config, inner, {
        layer: (layerId, at) =>
          new PreNormLayer(
            layerId,
            at,
            {
              inputLayernorm: norm(at.at('input_layernorm')),
              selfAttn: new RotaryAttention(layerId, config, at.at('self_attn')),
              postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
              mlp: new BaseMLP(config, at.at('mlp')),
            },
            slidingVariant(config, layerId),
          ),
        norm: norm(inner.at('norm')),
      }),
      head,
    });
  }
}

/** EuroBERT (arXiv:2503.05500, section 2.1). */
export class FlashEuroBertModelATB extends LlamaEncoderATB<EuroBertConfig> {
  constructor(config: EuroBertConfig, weights: Weights) {
    super('eurobert', config, weights.at('model'), classifierOf(weights, config));
  }
}

export const EuroBertRouter = routerOf(EUROBERT_CONFIG, FlashEuroBertModelATB, {
  // What predicts words.
  harmlessTensors: [/^lm_head\./],
  about: {
    kind: 'encoder',
    features: ['Llama whose tokens all see each other'],
    reference: 'transformers',
  },
});
registerModel('eurobert', EuroBertRouter);
