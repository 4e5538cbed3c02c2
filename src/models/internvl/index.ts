import { defineConfig, field, integer } from '../../layers/config/index.js';
import type { EncodeWords, MediaProcessor, PixelValues } from '../../media/index.js';
import { BaseRouter, type HeadNames, type ModelAbout, RegisterRouter } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { readProcessorConfig } from '../base/processor-files.js';
import { headNamesWithin, type TextWithin } from '../base/text-within.js';
import { CLIP_CHANNELS, layersBehind, pixelFields, requireSide, squareSide } from '../base/vision/index.js';
import {
  INTERNVL_CHAT_CONFIG,
  INTERNVL_CONFIG,
  type InternvlChatConfig,
  type InternvlConfig,
} from './config.js';
import { INTERNVL_CHAT_NAMES, INTERNVL_NAMES, type InternvlNames } from './names.js';
import { type TileConfig, TileProcessor } from './tile-processor.js';
import { InternvlTower, type InternvlVision } from './vision-tower.js';

export { INTERNVL_CHAT_CONFIG, INTERNVL_CONFIG, type InternvlConfig, internvlConfig } from './config.js';
export { INTERNVL_CHAT_NAMES } from './names.js';
export { TileProcessor } from './tile-processor.js';
export { InternvlTower } from './vision-tower.js';

/** What both forms of configuration say. */
interface SeeingConfig extends TextWithin {
  readonly computedLayers: number;
  readonly mergeSize: number;
  readonly vision: InternvlVision;
}

const TEXT = 'language_model';

/** A model of text that sees pictures by tiles (arXiv:2404.16821). MindIE's name of it. */
export class FlashInternvlForCausalLMATB extends FlashInsertingATB<SeeingConfig> {
  readonly name: string = 'internvl';
  protected readonly encoderModule: InternvlTower;

  constructor(config: SeeingConfig, weights: Weights, names: InternvlNames = INTERNVL_NAMES) {
    super(config, weights, TEXT);
    const { vision, mergeSize, hiddenSize: outSize } = config;
    const tower = { ...vision, numLayers: config.computedLayers };
    this.encoderModule = new InternvlTower(tower, weights, names, { mergeSize, outSize });
  }
}

/** The same with the names of the code beside the published checkpoints. */
export class FlashInternvlChatForCausalLMATB extends FlashInternvlForCausalLMATB {
  constructor(config: SeeingConfig, weights: Weights) {
    super(config, weights, INTERNVL_CHAT_NAMES);
  }
}

const TILES = integer(1, 1000);

/** Defaults of transformers 5.24, GotOcr2ImageProcessor. */
export const TILE_PICTURES = defineConfig({
  fields: {
    ...pixelFields(CLIP_CHANNELS),
    side: squareSide('size', ['height', 'width'], 384),
    minTiles: field('min_patches', TILES, 1),
    maxTiles: field('max_patches', TILES, 12),
  },
});

/** Of InternVLVideoProcessor; the side is that of tiles where the file says nothing. */
const frameSquares = (side: number) =>
  defineConfig({
    fields: { ...pixelFields(CLIP_CHANNELS), side: squareSide('size', ['height', 'width'], side) },
  });

/** ImageNet's, as all published checkpoints have them. */
const IMAGENET_CHANNELS = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const CHAT_PICTURES = defineConfig({ fields: pixelFields(IMAGENET_CHANNELS) });

const FEATURES = [
  'pictures as tiles by InternViT',
  'frames as one tile each',
  'text of internlm2, llama, qwen2, qwen3',
];

abstract class SeeingRouter<C extends SeeingConfig> extends BaseRouter<C> {
  protected abstract readonly names: InternvlNames;

  /** Layers behind the one whose result is taken, and what stands for patches that training hides. */
  override get harmlessTensors(): readonly RegExp[] {
    const { tower, layers } = this.names;
    const { computedLayers, vision } = this.config;
    return [
      ...super.harmlessTensors,
      /\.embeddings\.mask_token$/,
      ...layersBehind(`${tower}\\.${layers.replace('.', '\\.')}`, computedLayers, vision.numLayers),
    ];
  }

  override get headNames(): HeadNames {
    return headNamesWithin(this.config.textKind, TEXT);
  }

  protected get folder() {
    return { dir: this.modelPath, links: this.links };
  }

  /** `frames`: of videos, as tiles of that side. `name`: what the files call the side. @throws REQUEST_INVALID for tiles that the encoder has no positions for */
  protected processorOf(
    tiles: Omit<TileConfig, 'patchSize' | 'mergeSize'>,
    frames: PixelValues & { readonly side: number },
    name: string,
    encode: EncodeWords,
    imageTokenId?: number,
  ): TileProcessor {
    const { mergeSize, vision } = this.config;
    const { imageSize, patchSize } = vision;
    for (const { side } of [tiles, frames]) requireSide(name, side, imageSize);
    return new TileProcessor({ ...tiles, patchSize, mergeSize }, frames, encode, imageTokenId);
  }
}

/** As transformers writes checkpoints. */
@RegisterRouter('internvl')
export class InternvlRouter extends SeeingRouter<InternvlConfig> {
  protected readonly names: InternvlNames = INTERNVL_NAMES;

  override get about(): ModelAbout {
    return { kind: 'media', features: FEATURES, reference: 'transformers' };
  }

  /** Its processor cuts whatever `crop_to_patches` says. */
  override async getMediaProcessor(
    encode: EncodeWords,
  ): Promise<MediaProcessor & Pick<TileProcessor, 'partTexts'>> {
    const { imageTokenId } = this.config;
    const pictures = await readProcessorConfig(this.folder, TILE_PICTURES);
    const frames = await readProcessorConfig(this.folder, frameSquares(pictures.side), 'video_processor');
    return this.processorOf({ ...pictures, hasThumbnail: true }, frames, 'size', encode, imageTokenId);
  }

  protected getConfig(): InternvlConfig {
    return INTERNVL_CONFIG.read(this.configDict);
  }

  protected getModelClass(): typeof FlashInternvlForCausalLMATB {
    return FlashInternvlForCausalLMATB;
  }
}

/** As the published checkpoints are, with code of their own. */
@RegisterRouter('internvl_chat')
export class InternvlChatRouter extends SeeingRouter<InternvlChatConfig> {
  protected readonly names = INTERNVL_CHAT_NAMES;

  override get about(): ModelAbout {
    return { kind: 'media', features: FEATURES, reference: 'transformers, as internvl' };
  }

  override async getMediaProcessor(encode: EncodeWords): Promise<TileProcessor> {
    const { vision, tileSize = vision.imageSize, cutsTiles, minTiles, maxTiles, hasThumbnail } = this.config;
    const pixels = await readProcessorConfig(this.folder, CHAT_PICTURES);
    const counts = cutsTiles ? { minTiles, maxTiles } : { minTiles: 1, maxTiles: 1 };
    const square = { ...pixels, side: tileSize };
    return this.processorOf({ ...square, ...counts, hasThumbnail }, square, 'force_image_size', encode);
  }

  protected getConfig(): InternvlChatConfig {
    return INTERNVL_CHAT_CONFIG.read(this.configDict);
  }

  protected getModelClass(): typeof FlashInternvlChatForCausalLMATB {
    return FlashInternvlChatForCausalLMATB;
  }
}
