import type { EncodeWords } from '../../media/index.js';
import { BaseRouter, type ModelAbout, RegisterRouter } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashMropeForCausalLMATB, type MropeParts, rootsOf } from '../base/vision/index.js';
import { LlamaLayer, type MakeLayer } from '../llama/index.js';
import { Qwen3Attention } from '../qwen3/index.js';
import { QWEN3_VL_CONFIG, type Qwen3vlConfig } from './config.js';
import { TimedProcessor } from './timed-processor.js';
import { type MergersNames, Qwen3vlVisionTower } from './vision-tower.js';

export * from './config.js';
export { TimedProcessor } from './timed-processor.js';
export { Qwen3vlVisionTower } from './vision-tower.js';

/** Qwen3 that sees pictures of any size. */
export class FlashQwen3vlForCausalLMATB<
  C extends Qwen3vlConfig = Qwen3vlConfig,
> extends FlashMropeForCausalLMATB<C & { readonly deepLevels: readonly number[] }> {
  readonly name: string = 'qwen3_vl';
  protected readonly encoderModule: Qwen3vlVisionTower;

  /** `names`: of the encoder's mergers, where they are others. */
  constructor(config: C, weights: Weights, parts: MropeParts = {}, names?: MergersNames) {
    const deep = { ...config, deepLevels: config.vision.deepLayers.map((_, level) => level) };
    const layer: MakeLayer = (layerId, at) => {
      const selfAttn = new Qwen3Attention(layerId, config, at.at('self_attn'));
      return new LlamaLayer(layerId, config, at, { selfAttn });
    };
    super(deep, weights, { layer, ...parts });
    this.encoderModule = new Qwen3vlVisionTower(config.vision, weights.at(rootsOf(weights).vision), names);
  }
}

@RegisterRouter('qwen3_vl')
export class Qwen3vlRouter extends BaseRouter<Qwen3vlConfig> {
  override get about(): ModelAbout {
    const features = ['as qwen2_vl', 'learned positions', 'vectors for the first layers', 'times of frames'];
    return { kind: 'media', features, reference: 'transformers' };
  }

  override getMediaProcessor(encode: EncodeWords): Promise<TimedProcessor> {
    return TimedProcessor.read({ dir: this.modelPath, links: this.links }, this.config, encode);
  }

  protected getConfig(): Qwen3vlConfig {
    return QWEN3_VL_CONFIG.read(this.configDict);
  }

  protected getModelClass(): typeof FlashQwen3vlForCausalLMATB {
    return FlashQwen3vlForCausalLMATB;
  }
}
