import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { registerModel, routerOf } from '../../router/index.js';
import { gridPositions, type StepInput, wordsAmongRows } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { buildWordsAmongGraph, SiglipEncoder, visionTower, type WordTable } from '../base/vision/index.js';
import type { Gemma2Config } from '../gemma2/index.js';
import { PALIGEMMA_CHAT } from './chat-format.js';
import { PALIGEMMA_CONFIG, type PaligemmaConfig } from './config.js';
import { PaligemmaProcessor } from './processor.js';

export { PALIGEMMA_CONFIG } from './config.js';

const TEXT = 'language_model';

/** SigLIP over square pictures, each of whose patches becomes a token, with embeddings of the words of their prompt. */
class PaligemmaTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly encoder: SiglipEncoder;
  readonly projector: Linear;
  private readonly words: WordTable;

  constructor(
    { vision, hiddenSize: outFeatures, imageTokenId = -1 }: PaligemmaConfig,
    weights: Weights,
    { embedTokens, embeddingScale }: WordTable,
  ) {
    super();
    this.words = { embedTokens, embeddingScale };
    this.encoder = new SiglipEncoder(vision, visionTower(weights), { positions: gridPositions });
    this.stepInputs = [...this.encoder.stepInputs, wordsAmongRows(imageTokenId)];
    const parts = [{ name: 'linear', outFeatures }] as const;
    const inFeatures = vision.hiddenSize;
    this.projector = Linear.load(weights.at('multi_modal_projector'), { parts, inFeatures, hasBias: true });
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.words.embedTokens];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const encoded = this.encoder.buildGraph(graph, kind);
    const rows = buildLinear(graph, this.projector, encoded, 'projector_out');
    return buildWordsAmongGraph(graph, rows, this.words);
  }
}

/** Gemma or Gemma 2 behind square pictures, with which all of the prompt sees itself (arXiv:2407.07726, section 3). */
export class FlashPaligemmaForCausalLMATB extends FlashInsertingATB<PaligemmaConfig> {
  readonly name = 'paligemma';
  protected readonly encoderModule: PaligemmaTower;

  constructor(config: PaligemmaConfig, weights: Weights) {
    // Gemma 2 bounds logits, Gemma does not.
    super(config, weights, TEXT, {
      softcap: (config as Partial<Gemma2Config>).logitSoftcap,
    });
    this.encoderModule = new PaligemmaTower(config, weights, this.model.text);
  }
}

export const PaligemmaRouter = routerOf(PALIGEMMA_CONFIG, FlashPaligemmaForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: (folder, config) => PaligemmaProcessor.load(folder, config),
  chatFormat: () => PALIGEMMA_CHAT,
  about: {
    kind: 'media',
    features: ['square pictures by SigLIP', 'prompts that see themselves', 'text of gemma, gemma2'],
    reference: 'transformers',
  },
});
registerModel('paligemma', PaligemmaRouter);
