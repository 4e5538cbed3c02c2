import { RotaryAttention } from '../../layers/attention/attention-orders.js';
import type { BaseLayer } from '../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import {
  delayCondition,
  groupedRows,
  type StepInput,
  slidingMask,
  sound,
  soundRotary,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { RowGroups, SoundTower, WhisperFront } from '../base/audio/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { RowProjector } from '../base/vision/index.js';
import { VOXTRAL_REALTIME_CHAT } from './chat-format.js';
import { VOXTRAL_REALTIME_CONFIG, type VoxtralRealtimeConfig } from './config.js';
import { voxtralRealtimeProcessor } from './processor.js';
import { DelayedMistralATB } from './text.js';

export { VOXTRAL_REALTIME_CONFIG } from './config.js';

const TEXT = 'language_model';
/** The mask of the encoder, whose window is not that of the text. */
const SOUND_MASK = 'sound_attention_mask';

/** Layers whose rows see those before them within a window, by their numbers below `weights`. */
function hearingLayers(weights: Weights, { audio }: VoxtralRealtimeConfig): readonly BaseLayer[] {
  const { hiddenSize, numHeads, headDim, numLayers, rope, window, rmsNormEps } = audio;
  const attention = {
    ...{ hiddenSize, headDim, rope, numAttentionHeads: numHeads, numKeyValueHeads: numHeads },
    ...{ qkvBias: true, keyBias: false, denseBias: true },
    slidingWindows: Array<number>(numLayers).fill(window),
  };
  return Array.from({ length: numLayers }, (_, layerId) => {
    const at = weights.at(layerId);
    return new PreNormLayer(layerId, at, {
      inputLayernorm: new BaseRMSNorm(at.at('self_attn_layer_norm'), hiddenSize, rmsNormEps),
      selfAttn: new RotaryAttention(layerId, attention, at.at('self_attn'), { mask: SOUND_MASK }),
      postAttentionLayernorm: new BaseRMSNorm(at.at('final_layer_norm'), hiddenSize, rmsNormEps),
      mlp: new BaseMLP({ ...audio, mlpBias: false, downBias: true }, at.at('mlp')),
    });
  });
}

/** Mistral that writes down a sound while it hears it: to each word a row of the encoder is added (arXiv:2602.11298). */
export class FlashVoxtralrealtimeForCausalLMATB extends FlashInsertingATB<VoxtralRealtimeConfig> {
  readonly name = 'voxtral_realtime';
  protected readonly encoderModule: SoundTower;

  constructor(config: VoxtralRealtimeConfig, weights: Weights) {
    super(config, weights, TEXT, {}, DelayedMistralATB);
    const { audio, rowsOfToken, hiddenSize: outSize } = config;
    const { hiddenSize, melBins, numLayers, rmsNormEps, rope, window } = audio;
    const tower = weights.at('audio_tower');
    const projector = new RowProjector(weights.at('multi_modal_projector'), {
      ...{ inSize: rowsOfToken * hiddenSize, outSize, hasBias: false, act: 'gelu' },
    });
    this.encoderModule = new SoundTower(
      new WhisperFront(tower.at('embedder'), audio, undefined),
      hearingLayers(tower.at('layers'), config),
      new RowGroups(numLayers, weights, new BaseRMSNorm(tower.at('norm'), hiddenSize, rmsNormEps), projector),
      // Convolutions see nothing that comes later.
      [
        sound(melBins, Number.POSITIVE_INFINITY, 2),
        soundRotary(rope),
        groupedRows(rowsOfToken),
        slidingMask(window, SOUND_MASK),
      ],
    );
  }

  protected override get decoderInputs(): readonly StepInput[] {
    return [...super.decoderInputs, delayCondition(this.config.delayTokens, this.config.hiddenSize)];
  }
}

export const VoxtralrealtimeRouter = routerOf(VOXTRAL_REALTIME_CONFIG, FlashVoxtralrealtimeForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: voxtralRealtimeProcessor,
  chatFormat: () => VOXTRAL_REALTIME_CHAT,
  about: {
    kind: 'media',
    features: ['sound heard while it is written down', 'scales of the delay', 'text of mistral'],
    reference: 'transformers',
  },
});
registerModel('voxtral_realtime', VoxtralrealtimeRouter);
