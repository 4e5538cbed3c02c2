import { DECODER_KINDS, ENCODE, ENCODE_SECOND, type GraphKind } from '../../graph/graph-kind.js';
import { ExpertRouter } from '../../layers/experts/expert-router.js';
import { Experts, SparseMLP } from '../../layers/experts/experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  LONGEST_SOUND,
  OmniProcessor,
  readMelFiles,
  SoundProcessor,
  type SoundTower,
} from '../base/audio/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import { PatchProcessor } from '../base/vision/index.js';
import { sparseLayers } from '../llama/index.js';
import { omniHeadNames } from '../qwen2_5_omni/index.js';
import { Qwen25vlProcessor } from '../qwen2_5_vl/index.js';
import { Qwen3Attention } from '../qwen3/index.js';
import { readsStretches, stretchedSoundTower } from '../qwen3_asr/index.js';
import { FlashQwen3vlForCausalLMATB } from '../qwen3_vl/index.js';
import { QWEN3_OMNI_MOE_CONFIG, type Qwen3OmniMoeConfig } from './config.js';

/** What sees has Qwen2-VL's names for the parts of its mergers. */
const MERGERS = { deepMergers: 'merger_list' };

/** Qwen3-VL with experts that hears, too (arXiv:2509.17765): the thinker, which writes. What speaks is left out. */
export class FlashQwen3OmniMoeForCausalLMATB extends FlashQwen3vlForCausalLMATB<Qwen3OmniMoeConfig> {
  override readonly name = 'qwen3_omni_moe';
  override readonly graphKinds: readonly GraphKind[] = [...DECODER_KINDS, ENCODE, ENCODE_SECOND];
  protected override readonly secondModule: SoundTower;

  constructor(config: Qwen3OmniMoeConfig, weights: Weights) {
    const own = config.isThinker ? weights.at('thinker') : weights;
    const layer = sparseLayers(config, {
      selfAttn: (layerId, at) => new Qwen3Attention(layerId, config, at),
      experts: (at) =>
        new SparseMLP({
          router: new ExpertRouter({ ...config, scoring: 'softmax' }, at),
          experts: new Experts(config, at.at('experts')),
        }),
    });
    super(config, own, { layer }, MERGERS);
    this.secondModule = stretchedSoundTower(config.audio, own.at('audio_tower'));
  }
}

/**
 * Pictures and frames as Qwen2.5-VL's, and sound in windows, however long it is.
 * @throws as `readPatchConfigs` and `readMelFiles`
 */
async function processorOf(folder: ModelFolder, config: Qwen3OmniMoeConfig): Promise<OmniProcessor> {
  const { audio, audioTokenId, tokensPerSecond } = config;
  const seen = new Qwen25vlProcessor(await PatchProcessor.load(folder, config), tokensPerSecond);
  await readMelFiles(folder, audio.melBins);
  return new OmniProcessor(seen, new SoundProcessor(audioTokenId, LONGEST_SOUND, readsStretches(audio, 0)));
}

export const Qwen3OmniMoeRouter = routerOf(QWEN3_OMNI_MOE_CONFIG, FlashQwen3OmniMoeForCausalLMATB, {
  headNames: omniHeadNames,
  // What speaks.
  harmlessTensors: [/^(talker|code2wav)\./],
  mediaProcessor: processorOf,
  about: {
    kind: 'media',
    features: ['as qwen3_vl_moe', 'sound of any length, as qwen3_asr', 'writes, does not speak'],
    reference: 'transformers',
  },
});
registerModel('qwen3_omni_moe', Qwen3OmniMoeRouter);
