import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { constant, defineConfig, field, positive } from '../../layers/config/index.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import {
  clipVision,
  LLAMA_7B,
  LLAVA_IRRELEVANT,
  llavaFields,
  llavaProjector,
  squareEncoder,
  unusedOfLlava,
  visionOf,
} from '../base/llava/index.js';
import { aroundText, headNamesWithin } from '../base/text-within.js';
import { layersTaken, ProjectedTower, SquareProcessor } from '../base/vision/index.js';

/** Defaults of transformers 5.24, VipLlavaConfig. */
export const VIPLLAVA_CONFIG = aroundText(
  defineConfig({
    fields: {
      ...llavaFields({
        vision: visionOf('clip_vision_model', { clip_vision_model: clipVision }),
        texts: [LLAMA_7B],
        imageTokenId: 32_000,
        featureLayer: -2,
        select: 'default',
      }),
      takenLayers: layersTaken(['vision_feature_layer', 'vision_feature_layers'], [-2, -5, -8, -11, 6]),
      // The row that stands for a picture never becomes a token.
      select: constant('default' as const),
      projectorBias: constant(true),
      projectorEps: field('projector_layernorm_eps', positive(1), 1e-5),
    },
    irrelevant: LLAVA_IRRELEVANT,
  }),
);
export type VipLlavaConfig = ReturnType<(typeof VIPLLAVA_CONFIG)['read']>;

const TEXT = 'language_model';

/** A projector behind a norm of what it reads. */
class NormedProjector extends Module implements LayerStep {
  constructor(
    readonly norm: BaseLayerNorm,
    readonly projector: LayerStep,
  ) {
    super();
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, rows: string): string {
    return this.projector.buildGraph(graph, kind, this.norm.buildGraph(graph, rows));
  }
}

/** LLaVA that sees by several layers of CLIP at once, and so what is drawn into a picture (arXiv:2312.00784). */
export class FlashVipLlavaForCausalLMATB extends FlashInsertingATB<VipLlavaConfig> {
  readonly name = 'vipllava';
  protected readonly encoderModule: Encoder;

  constructor(config: VipLlavaConfig, weights: Weights) {
    super(config, weights, TEXT);
    const { vision, takenLayers, projectorEps } = config;
    const at = weights.at('multi_modal_projector.projector_layernorm');
    const norm = new BaseLayerNorm(at, vision.hiddenSize * takenLayers.length, projectorEps, {
      hasBias: true,
    });
    const projector = new NormedProjector(norm, llavaProjector(config, weights));
    this.encoderModule = new ProjectedTower(squareEncoder(config, weights), projector);
  }
}

export const VipLlavaRouter = routerOf(VIPLLAVA_CONFIG, FlashVipLlavaForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  harmlessTensors: unusedOfLlava,
  mediaProcessor: (folder, { vision, imageTokenId }) =>
    SquareProcessor.load(folder, imageTokenId, { ...vision, keepsFirst: false }),
  about: {
    kind: 'media',
    features: ['square pictures by several layers of CLIP', 'text as in llava'],
    reference: 'transformers',
  },
});
registerModel('vipllava', VipLlavaRouter);
