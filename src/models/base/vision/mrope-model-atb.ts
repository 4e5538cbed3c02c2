import type { AtbGraph } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import type { DecoderConfig } from '../../../layers/config/index.js';
import { insertedRows, mrope, type StepInput } from '../../../step-inputs/index.js';
import type { Weights } from '../../../weights/weights.js';
import { LlamaModelATB } from '../../llama/index.js';
import { FlashWithEncoderATB } from '../flash-with-encoder-atb.js';
import { buildInsertGraph, buildMropeGraph } from '../insert-steps.js';

/** A decoder whose positions have three axes, by sections of frequencies. */
export interface MropeConfig extends DecoderConfig {
  readonly sections: readonly number[];
}

/** Llama among whose embeddings are some that an encoder made, turned by positions of three axes. */
export class MropeModelATB extends LlamaModelATB {
  private readonly sections: readonly number[];

  constructor(config: MropeConfig, weights: Weights) {
    super(config, weights);
    this.sections = config.sections;
  }

  protected override buildInputGraph(graph: AtbGraph, kind: GraphKind): string {
    const hidden = buildInsertGraph(graph, kind, this.buildWordEmbeddingGraph(graph));
    buildMropeGraph(graph, kind, this.sections);
    return hidden;
  }
}

/** Where the parts of a model that sees stand: transformers 5 keeps them together in memory, files mostly apart. */
export function rootsOf(weights: Weights): { readonly text: string; readonly vision: string } {
  return weights.has('model.language_model.embed_tokens.weight')
    ? { text: 'model.language_model', vision: 'model.visual' }
    : { text: 'model', vision: 'visual' };
}

/** A model that reads words and what its encoder makes of pictures. */
export abstract class FlashMropeForCausalLMATB<C extends MropeConfig> extends FlashWithEncoderATB<C> {
  protected readonly model: MropeModelATB;

  constructor(config: C, weights: Weights) {
    const { text } = rootsOf(weights);
    super(config, weights, { names: { embedding: `${text}.embed_tokens`, head: 'lm_head' } });
    this.model = new MropeModelATB(config, weights.at(text));
  }

  protected override get decoderInputs(): readonly StepInput[] {
    const { rope, hiddenSize } = this.config;
    const [tokenIds, , ...others] = super.decoderInputs;
    return [...(tokenIds ? [tokenIds] : []), mrope(rope), ...others, insertedRows(hiddenSize)];
  }
}
