import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { NormedStep } from '../../layers/decoder/decoder-layers.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { groupedRows, sound, wordsAmongRows } from '../../step-inputs/index.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { RowGroups, SoundTower, WhisperFront, whisperLayers, whisperNorm } from '../base/audio/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { buildWordsAmongGraph, RowProjector, type WordTable } from '../base/vision/index.js';
import { MOSS_CONFIG, type MossConfig } from './config.js';
import { mossProcessor } from './processor.js';

export { MOSS_CONFIG } from './config.js';

const TEXT = 'model.language_model';

/** Whisper's encoder, of some of whose rows side by side come tokens, with embeddings of the seconds between them. */
class MossSoundTower extends SoundTower {
  private readonly words: WordTable;

  constructor(config: MossConfig, weights: Weights, { embedTokens, embeddingScale }: WordTable) {
    const { audio, rowsOfToken, hiddenSize: outSize, rmsNormEps, audioTokenId = -1 } = config;
    const { maxPositions, hiddenSize, melBins, numLayers } = audio;
    const tower = weights.at('audio_tower');
    const at = weights.at('multi_modal_projector');
    const { projectorBias: hasBias, projectorAct: act } = config;
    const projector = new RowProjector(at, { inSize: rowsOfToken * hiddenSize, outSize, hasBias, act });
    const norm = new BaseLayerNorm(at.at('norm'), outSize, rmsNormEps, {
      hasBias: true,
      name: 'projector_norm',
    });
    super(
      new WhisperFront(tower, audio, tower.get('embed_positions.weight', [maxPositions, hiddenSize])),
      whisperLayers(tower.at('layers'), audio),
      new RowGroups(
        numLayers,
        weights,
        whisperNorm(tower.at('layer_norm'), hiddenSize),
        new NormedStep(projector, norm),
      ),
      [sound(melBins), groupedRows(rowsOfToken, audioTokenId), wordsAmongRows(audioTokenId)],
    );
    this.words = { embedTokens, embeddingScale };
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.words.embedTokens];
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind): string {
    return buildWordsAmongGraph(graph, super.buildGraph(graph, kind), this.words);
  }
}

/** Qwen3 that writes down who says what, and when, of sound between whose tokens seconds are written. */
export class FlashMossTranscribeDiarizeForCausalLMATB extends FlashInsertingATB<MossConfig> {
  readonly name = 'moss_transcribe_diarize';
  protected readonly encoderModule: MossSoundTower;

  constructor(config: MossConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    this.encoderModule = new MossSoundTower(config, weights.at('model'), this.model.text);
  }
}

export const MosstranscribediarizeRouter = routerOf(MOSS_CONFIG, FlashMossTranscribeDiarizeForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: mossProcessor,
  about: {
    kind: 'media',
    features: ['sound of up to 40 minutes by half minutes', 'seconds between its tokens', 'text of qwen3'],
    reference: 'transformers',
  },
});
registerModel('moss_transcribe_diarize', MosstranscribediarizeRouter);
