import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { Module } from '../../layers/module.js';
import type { BaseNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { encoderSinusoids, MEL_PLANES, melPlanes } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { PlaneFront, SoundTower, whisperLayers, whisperNorm } from '../base/audio/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead, headNamesWithin } from '../base/text-within.js';
import { RowProjector } from '../base/vision/index.js';
import { QWEN3_ASR_CONFIG, type Qwen3AsrConfig } from './config.js';
import { qwen3AsrProcessor } from './processor.js';

export { QWEN3_ASR_CONFIG, stretchedAudio, UNREAD_STRETCHES } from './config.js';
export { readsStretches } from './processor.js';

/** Where the model of text stands in files of transformers, and in published ones. */
const TEXT = 'model.language_model';
const THINKER = 'thinker';

/** What published files call the projector's parts, which they have in the encoder. */
const PROJECTOR = Object.fromEntries(
  [1, 2].flatMap((at) => ['weight', 'bias'].map((of) => [`linear_${at}.${of}`, `proj${at}.${of}`])),
);

/** Rows are normed and come to the size of words. */
class NormedRows extends Module {
  constructor(
    readonly norm: BaseNorm,
    readonly projector: RowProjector,
  ) {
    super();
  }

  buildGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    return this.projector.buildGraph(graph, kind, this.norm.buildGraph(graph, hidden));
  }
}

/** Convolves stretches, and looks through windows of them (arXiv:2509.17765). `projected`: its last two linears. */
export function stretchedSoundTower(
  audio: Qwen3AsrConfig['audio'],
  tower: Weights,
  projected = tower.withNames(PROJECTOR),
): SoundTower {
  const { hiddenSize, melBins, stretchFrames, outSize } = audio;
  const projector = new RowProjector(projected, {
    ...{ inSize: hiddenSize, innerSize: hiddenSize, outSize, hasBias: true, act: audio.hiddenAct },
  });
  return new SoundTower(
    new PlaneFront(tower, audio),
    whisperLayers(tower.at('layers'), audio, { keyBias: true }),
    new NormedRows(whisperNorm(tower.at('ln_post'), hiddenSize), projector),
    [melPlanes({ high: melBins, wide: stretchFrames }), encoderSinusoids(stretchFrames, hiddenSize)],
    MEL_PLANES.patches,
  );
}

/** Qwen3 that writes down what it hears (arXiv:2601.21337). */
export class FlashQwen3AsrForCausalLMATB extends FlashInsertingATB<Qwen3AsrConfig> {
  readonly name = 'qwen3_asr';
  protected readonly encoderModule: SoundTower;

  constructor(config: Qwen3AsrConfig, weights: Weights) {
    const { audio, isThinker } = config;
    if (isThinker) super(config, weights, THINKER);
    else super(config, besideHead(weights, TEXT), TEXT);
    this.encoderModule = isThinker
      ? stretchedSoundTower(audio, weights.at(`${THINKER}.audio_tower`))
      : stretchedSoundTower(
          audio,
          weights.at('model.audio_tower'),
          weights.at('model.multi_modal_projector'),
        );
  }
}

export const Qwen3AsrRouter = routerOf(QWEN3_ASR_CONFIG, FlashQwen3AsrForCausalLMATB, {
  headNames: ({ isThinker, textKind }) =>
    isThinker ? headNamesWithin(textKind, THINKER) : { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: qwen3AsrProcessor,
  about: {
    kind: 'media',
    features: ['sound of any length, in windows', 'convolutions over bins and frames', 'text of qwen3'],
    reference: 'transformers',
  },
});
registerModel('qwen3_asr', Qwen3AsrRouter);
