import type { AtbGraph, GraphSpec } from '../../graph/atb-graph.js';
import { ENCODE, type GraphKind } from '../../graph/graph-kind.js';
import type { BaseConfig } from '../../layers/config/index.js';
import { HiddenRows, type RowHead } from '../../layers/heads/row-heads.js';
import type { KvCacheDesc } from '../../native/binding.js';
import { OBJECT, requireArgument } from '../../require-argument.js';
import type { CausalLM, EncoderUse } from '../../router/index.js';
import type { StepInput } from '../../step-inputs/index.js';
import { uniqueWeights } from '../../weights/weight-identity.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { BaseModelATB, type LastStep, type ModelParts, type ModelSizes } from './base-model-atb.js';
import { modelGraph } from './model-graph.js';

/** What a reader of whole texts is made of. */
export interface TextEncoderParts<C extends BaseConfig> {
  /** Names the graph: `bert_encode_graph`. */
  readonly name: string;
  readonly config: C;
  readonly stepInputs: readonly StepInput[];
  readonly body: Pick<BaseModelATB, 'getWeights' | 'buildGraph'>;
  /** What its results are; hidden states when absent. */
  readonly head?: RowHead | undefined;
  /** Which token stands for its text to a head; the first when absent. */
  readonly textRow?: 'first' | 'last';
  /** See `CausalLM`. */
  readonly padsTexts?: boolean;
}

/** A model that reads whole texts and keeps nothing, as one graph: hidden states, or what a head makes of them. */
export class TextEncoderATB<C extends BaseConfig = BaseConfig> implements CausalLM {
  readonly name: string;
  readonly config: C;
  readonly graphKinds: readonly GraphKind[] = [ENCODE];
  readonly stepInputs: readonly StepInput[];
  readonly textRow: 'first' | 'last';
  readonly padsTexts: boolean;
  private readonly body: TextEncoderParts<C>['body'];
  private readonly head: RowHead;

  constructor(parts: TextEncoderParts<C>) {
    requireArgument('new TextEncoderATB', 'the parts', OBJECT, parts);
    const {
      name,
      config,
      stepInputs,
      body,
      head = new HiddenRows(),
      textRow = 'first',
      padsTexts = false,
    } = parts;
    this.name = name;
    this.config = config;
    this.stepInputs = stepInputs;
    this.body = body;
    this.head = head;
    this.textRow = textRow;
    this.padsTexts = padsTexts;
  }

  /** Every weight once, in graph order. Throws WEIGHT_NAME_TWICE. */
  getWeights(): TensorRef[] {
    return uniqueWeights([...this.body.getWeights(), ...this.head.getWeights()]);
  }

  caches(): KvCacheDesc[] {
    return [];
  }

  /** Itself: its architecture has decided what it computes. Undefined for a use that is another one's. */
  encoder(use: EncoderUse, labels: number | undefined): CausalLM | undefined {
    return (use === 'rank') === (labels !== undefined) ? this : undefined;
  }

  /** The portable graph: legal ATB. Its output holds the rows that `lm_head_indices` names, [rows, width]. */
  buildGraph(kind: GraphKind): GraphSpec {
    const weights = this.getWeights().map((weight) => weight.name);
    return modelGraph(`${this.name}_${kind.name}_graph`, weights, this.stepInputs, (graph) =>
      this.head.buildGraph(graph, kind, this.body.buildGraph(graph, kind)),
    );
  }
}

/** What is added to the embedding of a token before it is normed: of its position and of its type. */
interface AddedEmbeddings {
  buildGraph(graph: AtbGraph, hidden: string): string;
  getWeights(): TensorRef[];
}

/** Embeddings, their norm, layers: `input_ids` [tokens] -> [tokens, hidden], which a norm follows where there is one. */
export class EncoderModelATB extends BaseModelATB {
  private readonly added: readonly AddedEmbeddings[];
  private readonly lastNorm: LastStep | undefined;

  /** `parts.norm` is that of the embeddings. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    sizes: ModelSizes,
    weights: Weights,
    given: ModelParts & { readonly added: readonly AddedEmbeddings[]; readonly lastNorm?: LastStep },
  ) {
    requireArgument(`new ${new.target.name}`, 'the parts', OBJECT, given);
    const { added, lastNorm, ...parts } = given;
    super(sizes, weights, parts);
    this.added = added;
    this.lastNorm = lastNorm;
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.buildWordEmbeddingGraph(graph);
    for (const embedding of this.added) hidden = embedding.buildGraph(graph, hidden);
    hidden = this.norm.buildGraph(graph, hidden);
    this.buildPositionalEmbeddingGraph(graph);
    for (const layer of this.layers) hidden = layer.buildGraph(graph, kind, hidden);
    return this.lastNorm?.buildGraph(graph, hidden) ?? hidden;
  }
}
