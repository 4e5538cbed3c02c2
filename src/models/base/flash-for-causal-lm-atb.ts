import { CommonOpBuilderManager, SINGLE_RANK } from '../../common-op-builders/index.js';
import { AtbError } from '../../errors.js';
import type { AtbGraph, GraphSpec } from '../../graph/atb-graph.js';
import { DECODER_KINDS, ENCODE, type GraphKind } from '../../graph/graph-kind.js';
import { requireMember } from '../../layers/complete.js';
import type { BaseConfig, DecoderConfig } from '../../layers/config/index.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addScaled } from '../../layers/formulas/residual.js';
import { addSoftcap } from '../../layers/formulas/softcap.js';
import { ClassificationHead, type RowHead, type RowStep } from '../../layers/heads/row-heads.js';
import type { KvCacheDesc, StateDesc } from '../../native/binding.js';
import { type ArgumentKind, OBJECT, requireArgument } from '../../require-argument.js';
import {
  type CausalLM,
  type EncoderUse,
  type HeadNames,
  LLAMA_HEAD,
  type ShownCaches,
} from '../../router/index.js';
import {
  alibiMask,
  chunkedMask,
  fullMask,
  groupIndices,
  headRows,
  latentMask,
  lengths,
  paging,
  positions,
  queryScales,
  type RotaryTables,
  requestAdapter,
  rotary,
  type StepInput,
  slidingMasks,
  slidingRotaryTables,
  stateBlocks,
  tokenIds,
  tokenSequences,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { requireWeights } from '../../weights/require-weights.js';
import { uniqueWeights } from '../../weights/weight-identity.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { BaseModelATB } from './base-model-atb.js';
import { modelGraph } from './model-graph.js';
import { TextEncoderATB } from './text-encoder-atb.js';

/** How a family's head differs from LLaMA's. */
export interface HeadOptions {
  /** Llama's when absent. A family's router knows them, too. */
  readonly names?: HeadNames;
  /** False when absent. */
  readonly hasBias?: boolean;
  /** Of what it reads: hiddenSize when absent. */
  readonly inFeatures?: number | undefined;
  /** Whether each row of its weight is divided by its length; false when absent. */
  readonly unitRows?: boolean;
  /** What logits are multiplied by; they stay when absent. */
  readonly scale?: number | undefined;
  /** Scaled logits x become `softcap * tanh(x / softcap)`; they stay when absent. */
  readonly softcap?: number | undefined;
  /** What becomes of wanted rows before the product; nothing when absent. */
  readonly step?: RowStep;
}

/** The tensors of a cache. */
const namesOf = ({ key, value }: KvCacheDesc): string[] => (value === undefined ? [key] : [key, value]);

const CONFIG: ArgumentKind = {
  expected: "a family's configuration, as `config` of its router gives it",
  holds: OBJECT.holds,
};

/** What is between a model's inputs and its head. */
export type ModelBody = Pick<BaseModelATB, 'getWeights' | 'caches' | 'states' | 'buildGraph'>;

/** A causal language model, as one graph of each kind: they differ only where a step reads the kind. */
export abstract class FlashForCausalLMATB<C extends BaseConfig = DecoderConfig> {
  /** Names the graphs: `llama_prefill_graph`. */
  abstract readonly name: string;
  protected abstract readonly model: ModelBody;
  readonly graphKinds: readonly GraphKind[];
  private readonly weights: Weights;
  private readonly headOptions: HeadOptions;
  private head: Linear | undefined;

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    readonly config: C,
    weights: Weights,
    head: HeadOptions = {},
  ) {
    const call = `new ${new.target.name}`;
    requireArgument(call, 'the config', CONFIG, config);
    requireWeights(call, weights);
    requireArgument(call, 'the head', OBJECT, head);
    this.weights = weights;
    this.headOptions = head;
    this.graphKinds = config.isCausal === false ? [ENCODE] : DECODER_KINDS;
  }

  /** For models of which this one is a part. */
  get body(): ModelBody {
    return this.model;
  }

  /** Read when it is first asked for: checkpoints of encoders have none. */
  get lmHead(): Linear {
    const { tieWordEmbeddings, vocabSize, hiddenSize } = this.config;
    const { names = LLAMA_HEAD, hasBias = false, inFeatures = hiddenSize, unitRows } = this.headOptions;
    this.head ??= Linear.load(this.weights, {
      name: 'lm_head',
      parts: [
        {
          name: tieWordEmbeddings ? names.embedding : names.head,
          biasOf: names.head,
          outFeatures: vocabSize,
          unitRows,
        },
      ],
      inFeatures,
      hasBias,
      role: 'head',
    });
    return this.head;
  }

  /** What a step brings. Graphs have those of these inputs that they read. */
  get stepInputs(): readonly StepInput[] {
    const { rope, alibiSlopes, slidingWindows = [], isCausal, expertGroups, queryScale } = this.config;
    const chunk = this.config.attentionChunks?.find((size) => size !== undefined);
    return [
      tokenIds,
      rope ? rotary(rope, this.otherRotaryTables) : positions,
      paging,
      lengths,
      fullMask,
      latentMask,
      ...slidingMasks(slidingWindows, isCausal === false),
      ...(chunk === undefined ? [] : [chunkedMask(chunk)]),
      ...(alibiSlopes ? [alibiMask(alibiSlopes), tokenSequences] : []),
      ...(expertGroups ? [groupIndices] : []),
      ...(this.model.states().length > 0 ? [stateBlocks] : []),
      ...(queryScale ? [queryScales(queryScale)] : []),
      ...this.weights.adapters.map(({ scale }, index) => requestAdapter(index, scale)),
      headRows,
    ];
  }

  /** Those of the graphs that generate. */
  protected get decoderInputs(): readonly StepInput[] {
    return this.stepInputs;
  }

  /** Rotary embeddings beside `config.rope`, for some of the layers. */
  protected get otherRotaryTables(): readonly RotaryTables[] {
    const { slidingRope } = this.config;
    return slidingRope ? [slidingRotaryTables(slidingRope)] : [];
  }

  /** Every weight once, in graph order. Throws WEIGHT_NAME_TWICE. */
  getWeights(): TensorRef[] {
    return this.decoderWeights();
  }

  /** Those of the graphs that generate. */
  protected decoderWeights(): TensorRef[] {
    requireMember(this, 'name', 'string');
    requireMember(this, 'model', 'object');
    return uniqueWeights([...this.model.getWeights(), ...this.headWeights()]);
  }

  private headWeights(): TensorRef[] {
    return [...(this.headOptions.step?.getWeights() ?? []), ...this.lmHead.getWeights()];
  }

  /**
   * Every KV cache once, in graph order; layers that name the same tensors share them.
   * Throws GRAPH_CACHE_MISMATCH when they do not agree on its sizes.
   */
  caches(): KvCacheDesc[] {
    const caches = new Map<string, KvCacheDesc>();
    for (const { cache } of this.model.caches()) {
      const known = caches.get(cache.key) ?? cache;
      if (JSON.stringify(known) !== JSON.stringify(cache)) {
        const [expected, found] = [known, cache].map((sizes) => JSON.stringify(sizes));
        throw new AtbError('GRAPH_CACHE_MISMATCH', {
          graph: this.name,
          cache: cache.key,
          expected: expected as string,
          found: found as string,
        });
      }
      caches.set(cache.key, known);
    }
    return [...caches.values()];
  }

  /** Every recurrent state, in graph order. */
  states(): StateDesc[] {
    return this.model.states().map(({ state }) => state);
  }

  /** The caches of what an encoder gave; undefined for models whose layers attend to words alone. */
  shown(): ShownCaches | undefined {
    return undefined;
  }

  /** Their names. */
  protected shownNames(): string[] {
    return (this.shown()?.caches ?? []).flatMap(namesOf);
  }

  /** The portable graph: legal ATB. Its output holds logits [rows, vocab]: of each sequence's last token in decode, of the wanted rows elsewhere. */
  buildGraph(kind: GraphKind): GraphSpec {
    const weights = this.decoderWeights().map((weight) => weight.name);
    const caches = kind.fillsCache ? [...this.caches().flatMap(namesOf), ...this.shownNames()] : [];
    const states = (kind.fillsCache ? this.states() : []).map((state) => state.name);
    const name = `${this.name}_${kind.name}_graph`;
    return modelGraph(name, [...weights, ...caches, ...states], this.decoderInputs, (graph) =>
      this.buildHeadGraph(graph, kind, this.model.buildGraph(graph, kind)),
    );
  }

  /**
   * The model as a reader of whole texts that keeps nothing. To embed: hidden states. To rank: the scores of a classifier's
   * labels, or without any labels logits. Undefined where it cannot be.
   */
  encoder(use: EncoderUse, labels: number | undefined): CausalLM | undefined {
    // A state goes from token to token in the cache.
    if ((use === 'embed' && labels !== undefined) || this.states().length > 0) return undefined;
    const { name, config, stepInputs } = this;
    const logits: RowHead = {
      getWeights: () => this.headWeights(),
      buildGraph: (graph, kind, hidden) => this.buildHeadGraph(graph, kind, hidden),
    };
    const head =
      labels === undefined
        ? logits
        : new ClassificationHead(this.weights, {
            hiddenSize: config.hiddenSize,
            labels,
            name: 'score',
            hasBias: false,
          });
    return new TextEncoderATB({
      name,
      config,
      stepInputs,
      body: this.model,
      textRow: 'last',
      ...(use === 'rank' && { head }),
    });
  }

  /** `hidden` [tokens, hidden] -> the tensor whose name it returns, [rows, vocab]. */
  protected buildHeadGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    const { scale, softcap, step } = this.headOptions;
    const indices = 'lm_head_indices';
    const gathers = step !== undefined && kind.gathersRows;
    const rows = gathers ? gatherRows(graph, hidden, indices, 'wanted_rows') : hidden;
    CommonOpBuilderManager.getBuilder({
      category: 'LM_HEAD',
      opName: 'lm_head',
      linear: this.lmHead,
      gatherAhead: kind.gathersRows && !gathers,
      parallelInfo: SINGLE_RANK,
    }).build(graph, { input: step?.buildGraph(graph, rows) ?? rows, indices, linearOut: 'model_out' });
    const scaled = scale === undefined ? 'model_out' : addScaled(graph, 'model_out', scale, 'scaled_logits');
    return softcap === undefined ? scaled : addSoftcap(graph, scaled, softcap, 'bounded_logits');
  }
}
