import type { AtbGraph } from '../../graph/atb-graph.js';
import { PositionFreeAttention, RotaryAttention } from '../../layers/attention/attention-orders.js';
import { ROTARY_ROWS, type RotaryRows } from '../../layers/attention/rotary-rows.js';
import type { DecoderConfig, LayerRopes } from '../../layers/config/index.js';
import { slidingVariant } from '../../layers/decoder/base-layer.js';
import { type LayerStep, PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import type { RopeConfig } from '../../step-inputs/index.js';
import { type RotaryTables, rotaryTables } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB, buildRotaryRows } from '../base/base-model-atb.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';

/** What Granites with windows and sinks are told. */
export interface GraniteSWAConfig extends Omit<DecoderConfig, 'rope'> {
  readonly rope: RopeConfig | undefined;
  readonly layerRopes: LayerRopes;
  readonly embeddingMultiplier: number;
  readonly attentionMultiplier: number;
  readonly residualMultiplier: number;
  readonly logitsScaling: number;
}

/** The rows of the tables of one of the rotary embeddings; the first has the usual names. */
const rowsOf = (rope: number): RotaryRows =>
  rope === 0 ? ROTARY_ROWS : { cos: `cos_embedding_${rope}`, sin: `sin_embedding_${rope}` };

/** The tables of those behind the first, in order. */
const otherTables = ({ ropes }: LayerRopes): readonly RotaryTables[] =>
  ropes.slice(1).map((rope, at) => ({ rope, cos: `cos_table_${at + 1}`, sin: `sin_table_${at + 1}` }));

class GraniteSWAModelATB extends BaseModelATB {
  constructor(
    private readonly config: GraniteSWAConfig,
    ...rest: [weights: Weights, parts: ConstructorParameters<typeof BaseModelATB>[2]]
  ) {
    super(config, ...rest);
  }

  override buildPositionalEmbeddingGraph(graph: AtbGraph): void {
    const { ropes } = this.config.layerRopes;
    for (const [at, tables] of [
      ...ropes.slice(0, 1).map(rotaryTables),
      ...otherTables(this.config.layerRopes),
    ].entries())
      buildRotaryRows(
        graph,
        at === 0 ? 'positional_embedding' : `positional_embedding_${at}`,
        tables,
        rowsOf(at),
      );
  }
}

/**
 * Granite whose attention has sinks, in some layers a window, and a rotary base of each layer's own, or none. `mlp` makes
 * the MLP of a layer, whose window it is given.
 */
export abstract class FlashGraniteWithWindowsATB<C extends GraniteSWAConfig> extends FlashForCausalLMATB<C> {
  protected readonly model: BaseModelATB;

  constructor(config: C, weights: Weights, mlp: (layer: Weights) => LayerStep) {
    super(config, weights, { scale: 1 / config.logitsScaling });
    const { attentionMultiplier: scale, residualMultiplier: outputScale } = config;
    const norm = (at: Weights) => new BaseRMSNorm(at, config.hiddenSize, config.rmsNormEps);
    const inner = weights.at('model');
    this.model = new GraniteSWAModelATB(config, inner, {
      layer: (layerId, at) => {
        const rope = config.layerRopes.ofLayers[layerId];
        const options = {
          scale,
          outputScale,
          sinks: 'sinks',
          ...(rope !== undefined && { rotaryRows: rowsOf(rope) }),
        };
        const Attention = rope === undefined ? PositionFreeAttention : RotaryAttention;
        const parts = {
          inputLayernorm: norm(at.at('input_layernorm')),
          selfAttn: new Attention(layerId, config, at.at('self_attn'), options),
          postAttentionLayernorm: norm(at.at('post_attention_layernorm')),
          mlp: mlp(at),
        };
        const variants = [
          rope === undefined ? 'position_free' : rope > 0 && `rope_${rope}`,
          slidingVariant(config, layerId),
        ];
        return new PreNormLayer(layerId, at, parts, variants.filter(Boolean).join('_'));
      },
      norm: norm(inner.at('norm')),
      embeddingScale: config.embeddingMultiplier,
    });
  }

  protected override get otherRotaryTables(): readonly RotaryTables[] {
    return otherTables(this.config.layerRopes);
  }
}
