import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { DecoderConfig } from '../../layers/config/index.js';
import { insertedRows, type StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { LlamaModelATB } from '../llama/index.js';
import { FlashWithEncoderATB } from './flash-with-encoder-atb.js';
import { buildInsertGraph } from './insert-steps.js';

/** Llama among whose embeddings are some that an encoder made; each takes a position like a word. */
export class InsertingLlamaATB extends LlamaModelATB {
  protected override buildInputGraph(graph: AtbGraph, kind: GraphKind): string {
    const hidden = buildInsertGraph(graph, kind, this.buildWordEmbeddingGraph(graph));
    this.buildPositionalEmbeddingGraph(graph);
    return hidden;
  }
}

/** A model of Llama's kind within a checkpoint, beside an encoder. */
export abstract class FlashInsertingLlamaATB<C extends DecoderConfig> extends FlashWithEncoderATB<C> {
  protected readonly model: InsertingLlamaATB;

  /** `root`: where the checkpoint has the model without its head; `head`: where that is. */
  constructor(config: C, weights: Weights, { root, head }: { readonly root: string; readonly head: string }) {
    super(config, weights, { names: { embedding: `${root}.embed_tokens`, head } });
    this.model = new InsertingLlamaATB(config, weights.at(root));
  }

  protected override get decoderInputs(): readonly StepInput[] {
    return [...super.decoderInputs, insertedRows(this.config.hiddenSize)];
  }
}
