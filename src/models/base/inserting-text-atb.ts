import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { DecoderConfig } from '../../layers/config/index.js';
import { Module } from '../../layers/module.js';
import { OBJECT, requireArgument } from '../../require-argument.js';
import { addedRows, deepRows, insertedRows, type StepInput, seenInserts } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from './base-model-atb.js';
import { FlashForCausalLMATB, type HeadOptions } from './flash-for-causal-lm-atb.js';
import { FlashWithEncoderATB } from './flash-with-encoder-atb.js';
import { buildAddedGraph, buildInsertGraph } from './insert-steps.js';
import { headNamesWithin, type TextWithin, textRouter } from './text-within.js';

/** A model of text among whose embeddings are some that an encoder made; each takes a position like a word. */
export class InsertingModelATB extends Module {
  constructor(
    readonly text: BaseModelATB,
    private readonly places: InsertPlaces = {},
  ) {
    super();
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const { deepLevels, addsRows = false } = this.places;
    const words = this.text.buildWordEmbeddingGraph(graph);
    const hidden = (addsRows ? buildAddedGraph : buildInsertGraph)(graph, kind, words);
    const input = this.text.buildInputGraph(graph, kind, hidden);
    return this.text.buildLayersGraph(graph, kind, input, deepLevels);
  }
}

/** Where rows of an encoder go. */
interface InsertPlaces {
  /** Layers of text behind which vectors of the encoder are added; none when absent. */
  readonly deepLevels?: readonly number[];
  /** Whether rows are added to embeddings of words in whose place they would stand; false when absent. */
  readonly addsRows?: boolean;
}

/** What a step brings of what encoders made. */
export const insertInputs = ({
  hiddenSize,
  seesInserts,
  slidingWindows,
  deepLevels = [],
  addsRows = false,
}: Pick<DecoderConfig, 'hiddenSize' | 'seesInserts' | 'slidingWindows'> &
  InsertPlaces): readonly StepInput[] => [
  addsRows ? addedRows(hiddenSize) : insertedRows(hiddenSize),
  ...(deepLevels.length > 0 ? [deepRows(hiddenSize, deepLevels.length)] : []),
  ...(seesInserts ? seenInserts(slidingWindows) : []),
];

/** A model of text within a checkpoint, beside an encoder. */
export abstract class FlashInsertingATB<C extends TextWithin & InsertPlaces> extends FlashWithEncoderATB<C> {
  protected readonly model: InsertingModelATB;

  /**
   * `root`: what the checkpoint's names of the model of text begin with; `head`: what its head does to logits;
   * `modelClass`: of the text, where that is not its family's.
   */
  constructor(
    config: C,
    weights: Weights,
    root: string,
    head: Pick<HeadOptions, 'scale' | 'softcap'> = {},
    modelClass?: unknown,
  ) {
    requireArgument(`new ${new.target.name}`, 'the config', OBJECT, config);
    super(config, weights, { ...head, names: headNamesWithin(config.textKind, root) });
    const Text = (modelClass ?? textRouter(config.textKind).modelClass) as new (
      config: C,
      weights: Weights,
    ) => object;
    const text = new Text(config, weights.at(root));
    const body = text instanceof FlashForCausalLMATB ? text.body : undefined;
    if (!(body instanceof BaseModelATB)) throw new TypeError(`${Text.name} has nothing to insert rows into`);
    this.model = new InsertingModelATB(body, config);
  }

  protected override get decoderInputs(): readonly StepInput[] {
    return [...super.decoderInputs, ...insertInputs(this.config)];
  }
}
