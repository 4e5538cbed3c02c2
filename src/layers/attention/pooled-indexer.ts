import { writeKeys } from '../../common-op-builders/index.js';
import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import { BLOCK_TOKENS, entrySlots, STATE_FROM, STATE_TO } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { inF32, transposed } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { layerState, type StateRef } from '../cache-ref.js';
import { beside } from '../formulas/split.js';
import { buildLinear } from '../linear/linear-steps.js';
import { CHOSEN_KEYS, Indexer, type IndexerConfig, type ScoredParts } from './indexer.js';

const GATE = 'index_kpool_compress_gate';

/**
 * An indexer that chooses several neighbouring tokens together (GLM-5.3, transformers 5.24, Glm5NextTextIndexer): it
 * has one key of each pool of `tokensPerKey` tokens, a mean of theirs by gates. A query attends to the tokens of the
 * pools that are chosen, and in any case to those up to its own that fill no pool yet. Nothing turns.
 */
export class PooledIndexer extends Indexer {
  readonly gate: Linear;
  private readonly bias: TensorRef;
  private readonly state: StateRef;
  private readonly tokensPerKey: number;

  /** Throws what `Indexer` throws. */
  constructor(layerId: number, config: IndexerConfig, weights: Weights) {
    super(layerId, { ...config, indexTurns: false }, weights);
    const { hiddenSize, indexHeadDim: size, tokensPerKey = 1 } = config;
    this.tokensPerKey = tokensPerKey;
    // A parameter of the module itself, whose name has no end of its own.
    this.gate = Linear.load(weights.withNames({ [`${GATE}.weight`]: GATE }), {
      parts: [{ name: GATE, outFeatures: size, hasBias: false }],
      inFeatures: hiddenSize,
    });
    this.bias = inF32(transposed(weights.get('index_kpool_compress_ape', [tokensPerKey, size])));
    this.state = layerState(layerId, 'index_pool_state', 3 * size);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.bias];
  }

  override states(): StateRef[] {
    return [this.state];
  }

  /** -> `chosen_keys` i32 [tokens, (indexTopK + 1) * tokensPerKey - 1]: positions of tokens in ascending order. */
  protected override buildChosenGraph(graph: AtbGraph, input: string, { q, weights, k }: ScoredParts): void {
    const { tokensPerKey, cache, state } = this;
    const { indexHeads: headNum, indexHeadDim: size, indexTopK: topK } = this.config;
    graph.addReshape(k, 'index_k_flat', [dim(0), dim(1, 2)]);
    const gates = buildLinear(graph, this.gate, input, 'index_gate_out');
    const rows = beside(graph, 'index_k_flat', gates, 'index_pool_rows');
    const pooled = [rows, this.bias.name, 'seq_len', state.name, STATE_FROM, STATE_TO, 'q_len'];
    graph.addOperation(
      new BaseOperation('WindowPool', { tokensPerEntry: tokensPerKey }, 'index_pool'),
      pooled,
      ['index_pooled', state.name],
    );
    graph.addReshape('index_pooled', 'index_pool_keys', [dim(0), 1, size]);
    writeKeys(graph, 'index', 'index_pool_keys', { key: cache.key, slots: entrySlots(tokensPerKey) });
    const choice = { headNum, topK, tokensPerKey, givesTokens: true };
    const inputs = [q, weights, cache.key, 'block_tables', 'seq_len', 'q_len', BLOCK_TOKENS];
    graph.addOperation(new BaseOperation('LightningIndexer', choice, 'indexer'), inputs, [CHOSEN_KEYS]);
  }
}
