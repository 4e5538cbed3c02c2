import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/base-layer.js';
import { gatherRows } from '../../layers/gather-rows.js';
import type { BaseNorm } from '../../layers/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { MERGED_PATCHES, mergedPatches, sound } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { SoundTower, WhisperFront, whisperLayers, whisperNorm } from '../base/audio/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { RowProjector } from '../base/vision/index.js';
import { VOXTRAL_CHAT } from './chat-format.js';
import { VOXTRAL_CONFIG, type VoxtralConfig } from './config.js';
import { voxtralProcessor } from './processor.js';

export { VOXTRAL_CONFIG } from './config.js';

const TEXT = 'language_model';

/** Rows are normed, and as many as are as wide as an MLP become a token: [rows, hidden] -> [tokens, out]. */
class RowGroups extends BaseLayer {
  readonly norm: BaseNorm;
  readonly projector: RowProjector;

  constructor({ audio, hiddenSize: outSize }: VoxtralConfig, weights: Weights) {
    super(audio.numLayers, weights, 'projector');
    this.norm = whisperNorm(weights.at('audio_tower.layer_norm'), audio.hiddenSize);
    this.projector = new RowProjector(weights.at('multi_modal_projector'), {
      ...{ inSize: audio.intermediateSize, outSize, hasBias: false, act: 'gelu' },
    });
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    gatherRows(graph, this.norm.buildGraph(graph, hidden), MERGED_PATCHES, 'grouped_hidden');
    graph.addReshape('grouped_hidden', 'grouped_rows', [dim(0), dim(1, 2)]);
    return this.projector.buildGraph(graph, kind, 'grouped_rows');
  }
}

/** Llama that hears by Whisper's encoder, half minute by half minute (arXiv:2507.13264). */
export class FlashVoxtralForCausalLMATB extends FlashInsertingATB<VoxtralConfig> {
  readonly name = 'voxtral';
  protected readonly encoderModule: SoundTower;

  constructor(config: VoxtralConfig, weights: Weights) {
    super(config, weights, TEXT);
    const { audio, rowsOfToken } = config;
    const { maxPositions, hiddenSize, melBins } = audio;
    const tower = weights.at('audio_tower');
    const positions = tower.get('embed_positions.weight', [maxPositions, hiddenSize]);
    this.encoderModule = new SoundTower(
      new WhisperFront(tower, audio, positions),
      whisperLayers(tower.at('layers'), audio),
      new RowGroups(config, weights),
      [sound(melBins), mergedPatches(rowsOfToken)],
    );
  }
}

export const VoxtralRouter = routerOf(VOXTRAL_CONFIG, FlashVoxtralForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: voxtralProcessor,
  chatFormat: () => VOXTRAL_CHAT,
  about: {
    kind: 'media',
    features: ['sound of any length by half minutes', 'four rows of its encoder a token', 'text of llama'],
    reference: 'transformers',
  },
});
registerModel('voxtral', VoxtralRouter);
