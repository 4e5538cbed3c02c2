import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { registerModel, routerOf } from '../../router/index.js';
import { groupedRows, sound, soundRotary } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { RowGroups, SoundTower, WhisperFront, whisperNorm } from '../base/audio/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { RowProjector } from '../base/vision/index.js';
import { GLM_ASR_CONFIG, type GlmAsrConfig, ROWS_OF_TOKEN } from './config.js';
import { glmAsrProcessor } from './processor.js';

export { GLM_ASR_CONFIG } from './config.js';

const TEXT = 'language_model';

/** Layers of Whisper's kind whose heads turn, by their numbers below `weights`. */
function turningLayers(weights: Weights, { audio }: GlmAsrConfig): readonly PreNormLayer[] {
  const { hiddenSize, numHeads, numLayers, numKeyValueHeads, rope } = audio;
  const attention = {
    ...encoderAttention({ hiddenSize, numHeads, qkvBias: true, keyBias: false, denseBias: true }),
    ...{ numKeyValueHeads, rope },
  };
  return Array.from({ length: numLayers }, (_, layerId) => {
    const at = weights.at(layerId);
    return new PreNormLayer(layerId, at, {
      inputLayernorm: whisperNorm(at.at('input_layernorm'), hiddenSize),
      selfAttn: new RotaryAttention(layerId, attention, at.at('self_attn')),
      postAttentionLayernorm: whisperNorm(at.at('post_attention_layernorm'), hiddenSize),
      mlp: new UngatedMLP({ ...audio, mlpBias: true }, at.at('mlp'), { names: { up: 'fc1', down: 'fc2' } }),
    });
  });
}

/** Llama that writes down what it hears by an encoder of Whisper's kind with rotary positions. */
export class FlashGlmasrForCausalLMATB extends FlashInsertingATB<GlmAsrConfig> {
  readonly name = 'glmasr';
  protected readonly encoderModule: SoundTower;

  constructor(config: GlmAsrConfig, weights: Weights) {
    super(config, weights, TEXT);
    const { audio, hiddenSize: outSize, projectorAct: act } = config;
    const tower = weights.at('audio_tower');
    const projector = new RowProjector(weights.at('multi_modal_projector'), {
      ...{ inSize: audio.intermediateSize, innerSize: 2 * outSize, outSize, hasBias: true, act },
    });
    this.encoderModule = new SoundTower(
      new WhisperFront(tower, audio, undefined),
      turningLayers(tower.at('layers'), config),
      new RowGroups(audio.numLayers, weights, whisperNorm(tower.at('norm'), audio.hiddenSize), projector),
      [sound(audio.melBins), soundRotary(audio.rope), groupedRows(ROWS_OF_TOKEN)],
    );
  }
}

export const GlmasrRouter = routerOf(GLM_ASR_CONFIG, FlashGlmasrForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: glmAsrProcessor,
  about: {
    kind: 'media',
    features: ['sound of up to 10 minutes by half minutes', 'rotary positions of sound', 'text of llama'],
    reference: 'transformers',
  },
});
registerModel('glmasr', GlmasrRouter);
