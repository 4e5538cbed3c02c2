import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import {
  defineConfig,
  field,
  flag,
  keysBecause,
  nested,
  oneOf,
  positive,
  required,
  text,
  tokenField,
  within,
} from '../../layers/config/index.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { registerModel, routerOf } from '../../router/index.js';
import { Linear } from '../../weights/linear.js';
import { renamed, type Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { aroundText, headNamesWithin, textWithin } from '../base/text-within.js';
import {
  besideText,
  dtypeBesideText,
  PatchProcessor,
  ProjectedTower,
  TOKENS_OF_TEMPLATES,
} from '../base/vision/index.js';
import { Qwen25vlVisionTower, windowedVision } from '../qwen2_5_vl/index.js';

/** Defaults of transformers 5.24, HyperCLOVAXVisionV2Config. */
export const HYPERCLOVAX_VISION_CONFIG = aroundText(
  defineConfig({
    fields: {
      text: textWithin('text_config', { model_type: 'hyperclovax' }),
      ...within('text_config', {
        textType: field('model_type', oneOf('hyperclovax'), 'hyperclovax'),
        logitsScaling: field('logits_scaling', positive(1e6), 1),
      }),
      modelType: field('model_type', text, required),
      dtype: dtypeBesideText,
      tieWordEmbeddings: besideText('tie_word_embeddings', flag, true),
      imageTokenId: tokenField('image_token_id', 128_060),
      vision: nested(
        'vision_config',
        {
          ...windowedVision,
          kind: field('model_type', oneOf('qwen2_5_vl', 'qwen2_5_vl_vision'), 'qwen2_5_vl'),
        },
        // What patch_size says; positions in time are those of text.
        ['spatial_patch_size', 'tokens_per_second'],
      ),
    },
    irrelevant: {
      ...TOKENS_OF_TEMPLATES,
      ...keysBecause('is about videos, which are not read', 'video_token_id'),
    },
  }),
);
export type HyperClovaXVisionConfig = ReturnType<(typeof HYPERCLOVAX_VISION_CONFIG)['read']>;

const TEXT = 'model.language_model';

/** As the checkpoint was published, whatever transformers 5 wrote of it: layers of text stand in a part of their own. */
const asPublished = (weights: Weights): Weights =>
  weights.has(`${TEXT}.model.embed_tokens.weight`)
    ? weights
    : weights.mapped((source) => renamed(source, (name) => name.replace(`${TEXT}.model.`, `${TEXT}.`)));

/** One product that brings an encoder's rows to the size of words: [rows, in] -> [rows, out]. */
class LinearProjector extends Module implements LayerStep {
  readonly linear: Linear;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(weights: Weights, name: string, inFeatures: number, outFeatures: number) {
    super();
    this.linear = Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, hasBias: true });
  }

  buildGraph(graph: AtbGraph, _kind: GraphKind, rows: string): string {
    return buildLinear(graph, this.linear, rows, 'projector_out');
  }
}

/** HyperCLOVA X that sees by the tower of Qwen2.5-VL; a picture's tokens stand in a line like words. */
export class FlashHyperClovaXVisionForCausalLMATB extends FlashInsertingATB<HyperClovaXVisionConfig> {
  readonly name = 'hyperclovax_vision_v2';
  protected readonly encoderModule: ProjectedTower;

  constructor(config: HyperClovaXVisionConfig, weights: Weights) {
    super(config, asPublished(weights), TEXT, { scale: config.logitsScaling });
    const { vision, hiddenSize } = config;
    const inner = weights.at('model');
    const tower = new Qwen25vlVisionTower(vision, inner.at('vision_model'));
    const projector = new LinearProjector(inner, 'vision_projector', vision.outSize, hiddenSize);
    this.encoderModule = new ProjectedTower(tower, projector);
  }
}

export const HyperClovaXVisionRouter = routerOf(
  HYPERCLOVAX_VISION_CONFIG,
  FlashHyperClovaXVisionForCausalLMATB,
  {
    headNames: headNamesWithin('hyperclovax', TEXT),
    mediaProcessor: (folder, { imageTokenId, vision }) =>
      PatchProcessor.load(folder, { imageTokenId, videoTokenId: undefined, vision }),
    about: {
      kind: 'media',
      features: ['pictures as qwen2_5_vl', 'positions as text', 'text of hyperclovax'],
      reference: 'transformers',
    },
  },
);
registerModel('hyperclovax_vision_v2', HyperClovaXVisionRouter);
