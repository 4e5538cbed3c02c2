import {
  activation,
  type ConfigOf,
  defineConfig,
  field,
  integer,
  listOf,
  nested,
  WIDTH,
} from '../../layers/config/index.js';
import type { QkvNames } from '../../layers/linear/projections.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { DEFAULT_FPS, type MediaFiles, type MediaPiece, windowsOf } from '../../media/index.js';
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

const COUNT = integer(1, 10_000);

/** What an encoder that looks through windows is told. Defaults of transformers 5.24, Qwen2_5_VLVisionConfig. */
export const windowedVision = {
  ...visionFields(),
  hiddenSize: field('hidden_size', WIDTH, 3584),
  intermediateSize: field('intermediate_size', WIDTH, 3420),
  outSize: field('out_hidden_size', WIDTH, 3584),
  hiddenAct: activation('hidden_act', 'silu'),
  windowSize: field('window_size', COUNT, 112),
  fullAttention: field('fullatt_block_indexes', listOf(integer(0, 10_000), 'layers'), [7, 15, 23, 31]),
};

/** Defaults of transformers 5.24, Qwen2_5_VLConfig. */
export const QWEN2_5_VL_CONFIG = defineConfig({
  fields: {
    ...textFields(1_000_000),
    vision: nested(
      'vision_config',
      { ...windowedVision, tokensPerSecond: field('tokens_per_second', COUNT, 4) },
      // What patch_size says.
      ['spatial_patch_size'],
    ),
  },
  irrelevant: TOKENS_OF_TEMPLATES,
});
export type Qwen25vlConfig = ConfigOf<typeof QWEN2_5_VL_CONFIG>;

/** Most layers attend within windows of pixels, some over whole frames; RMSNorm and gated MLPs (arXiv:2502.13923, 2.1.1). */
export class Qwen25vlVisionTower extends VisionTower {
  /** `qkv`: the names of projections, where they are not packed. */
  constructor(
    config: Omit<Qwen25vlConfig['vision'], 'tokensPerSecond'> & { readonly numKeyValueHeads?: number },
    weights: Weights,
    qkv?: QkvNames,
  ) {
    const { hiddenSize, mergeSize, patchSize, windowSize, fullAttention } = config;
    const windowBlocks = Math.floor(windowSize / mergeSize / patchSize);
    super(
      {
        ...config,
        ...(qkv && { qkv }),
        norm: (at) => new BaseRMSNorm(at, hiddenSize, EPSILON),
        mlp: (at) => new BaseMLP({ ...config, mlpBias: true }, at),
        windows: {
          of: ({ shape }) => windowsOf(shape, mergeSize, windowBlocks),
          includes: (layerId) => !fullAttention.includes(layerId),
        },
      },
      weights,
    );
  }
}

/** Qwen2-VL whose encoder looks through windows, and whose positions in time are those of a clock. */
export class FlashQwen25vlForCausalLMATB extends FlashMropeForCausalLMATB<Qwen25vlConfig> {
  readonly name = 'qwen2_5_vl';
  protected readonly encoderModule: Qwen25vlVisionTower;

  constructor(config: Qwen25vlConfig, weights: Weights) {
    super(config, weights);
    this.encoderModule = new Qwen25vlVisionTower(config.vision, weights.at(rootsOf(weights).vision));
  }
}

/** Qwen2-VL's, but positions of a video's frames follow its seconds. */
export class Qwen25vlProcessor extends PatchProcessor {
  constructor(
    { configs, placeholders: { image, video } }: PatchProcessor,
    private readonly tokensPerSecond: number,
  ) {
    super(configs, { imageTokenId: image, videoTokenId: video });
  }

  override async process(media: MediaFiles, what: string): Promise<readonly MediaPiece[]> {
    const pieces = await super.process(media, what);
    if (media.kind !== 'video') return pieces;
    const { temporalPatchSize } = this.configs.frames;
    const interval = (temporalPatchSize / (media.fps ?? DEFAULT_FPS)) * this.tokensPerSecond;
    return pieces.map((piece) =>
      'grid' in piece && piece.grid ? { ...piece, grid: { ...piece.grid, interval } } : piece,
    );
  }
}

export const Qwen25vlRouter = routerOf(QWEN2_5_VL_CONFIG, FlashQwen25vlForCausalLMATB, {
  mediaProcessor: async (folder, config) =>
    new Qwen25vlProcessor(await PatchProcessor.load(folder, config), config.vision.tokensPerSecond),
  about: {
    kind: 'media',
    features: ['as qwen2_vl', 'windows in most layers of its encoder', 'positions in time by seconds'],
    reference: 'transformers',
  },
});
registerModel('qwen2_5_vl', Qwen25vlRouter);
