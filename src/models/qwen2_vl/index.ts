import {
  activation,
  type ConfigOf,
  defineConfig,
  field,
  LENGTH,
  nested,
  WIDTH,
} from '../../layers/config/index.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  EPSILON,
  FlashMropeForCausalLMATB,
  PatchProcessor,
  rootsOf,
  TOKENS_OF_TEMPLATES,
  textFields,
  VisionTower,
  visionFields,
} from '../base/vision/index.js';

/** Defaults of transformers 5.24, Qwen2VLConfig. */
export const QWEN2_VL_CONFIG = defineConfig({
  fields: {
    ...textFields(1_000_000),
    vision: nested(
      'vision_config',
      {
        ...visionFields('embed_dim'),
        hiddenSize: field('embed_dim', WIDTH, 1280),
        outSize: field('hidden_size', WIDTH, 3584),
        mlpRatio: field('mlp_ratio', LENGTH, 4),
        hiddenAct: activation('hidden_act', 'quick_gelu'),
      },
      // What patch_size says.
      ['spatial_patch_size'],
    ),
  },
  irrelevant: TOKENS_OF_TEMPLATES,
});
export type Qwen2vlConfig = ConfigOf<typeof QWEN2_VL_CONFIG>;

/** Qwen2-VL's: LayerNorm, an MLP without a gate, every layer over whole frames. */
export class Qwen2vlVisionTower extends VisionTower {
  constructor(config: Qwen2vlConfig['vision'], weights: Weights) {
    const { hiddenSize, mlpRatio, hiddenAct } = config;
    const mlp = { hiddenSize, intermediateSize: hiddenSize * mlpRatio, hiddenAct, mlpBias: true };
    super(
      {
        ...config,
        norm: (at) => new BaseLayerNorm(at, hiddenSize, EPSILON, { hasBias: true }),
        mlp: (at) => new UngatedMLP(mlp, at, { names: { up: 'fc1', down: 'fc2' } }),
      },
      weights,
    );
  }
}

/** Qwen2 that sees pictures of any size (arXiv:2409.12191). MindIE's name of it. */
export class FlashQwen2vlForCausalLMATB extends FlashMropeForCausalLMATB<Qwen2vlConfig> {
  readonly name = 'qwen2_vl';
  protected readonly encoderModule: Qwen2vlVisionTower;

  constructor(config: Qwen2vlConfig, weights: Weights) {
    super(config, weights);
    this.encoderModule = new Qwen2vlVisionTower(config.vision, weights.at(rootsOf(weights).vision));
  }
}

export const Qwen2vlRouter = routerOf(QWEN2_VL_CONFIG, FlashQwen2vlForCausalLMATB, {
  mediaProcessor: (folder, config) => PatchProcessor.load(folder, config),
  about: {
    kind: 'media',
    features: ['pictures of any size', 'positions of three axes'],
    reference: 'transformers',
  },
});
registerModel('qwen2_vl', Qwen2vlRouter);
