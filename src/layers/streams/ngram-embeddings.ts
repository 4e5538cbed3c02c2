import { AtbError } from '../../errors.js';
import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import { Linear } from '../../weights/linear.js';
import { concatRows, type TensorRef, type Weights } from '../../weights/weights.js';
import { addNarrowed, addWidened } from '../formulas/casts.js';
import { gatherRows } from '../formulas/gather-rows.js';
import { addPair, addResidual, addScaled } from '../formulas/residual.js';
import { SignedRoot } from '../formulas/signed-root.js';
import { buildLinear } from '../linear/linear-steps.js';
import { type BorrowedTensor, Module } from '../module.js';
import { CausalConv } from '../recurrent/causal-conv.js';
import { addSigmoids, addSums, asStreams, type GatedStreamsConfig, StreamNorm } from './gated-streams.js';
import { type NgramConfig, ngramHashes, ngramTableRows } from './ngram-hashes.js';
import { asStream } from './streams.js';

/** What embeddings of n-grams are told by the configuration. */
export interface NgramEmbeddingConfig extends NgramConfig, Omit<GatedStreamsConfig, 'streamRank'> {
  /** Of all parts of a table together. */
  readonly ngramWidth: number;
  /** How many tensors of the checkpoint each table is in. */
  readonly ngramShards: number;
  readonly ngramTaps: number;
}

const NGRAM_ROWS = 'ngram_rows';

/** What the step input of a table's rows is called. */
export const ngramRowsOf = (table: number): string => `${NGRAM_ROWS}_${table}`;

/**
 * What streams take of the last tokens: rows of a large table, projected to one value, which each stream takes as much of
 * as its own norm and a key of the rows agree; and a convolution of that, which sees every `ngramSize`-th token.
 */
export class NgramEmbeddings extends Module {
  readonly key: Linear;
  readonly value: Linear;
  readonly keyNorm: StreamNorm;
  readonly queryNorm: StreamNorm;
  readonly convNorm: StreamNorm;
  readonly conv: CausalConv;
  private readonly root: SignedRoot;
  private readonly shards: TensorRef;

  /** `table`: its number among the model's. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, CONFIG_INVALID. */
  constructor(
    layerId: number,
    private readonly config: NgramEmbeddingConfig,
    private readonly weights: Weights,
    private readonly table: number,
  ) {
    super();
    const { hiddenSize, streams, ngramWidth: inFeatures, ngramSize, ngramTaps: taps } = config;
    const channels = streams * hiddenSize;
    this.shards = ngramTable(config, weights.at('ple_embedding').at('ngram_embedding'), table);
    const load = (name: string, outFeatures: number) =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures });
    this.key = load('key_proj', channels);
    this.value = load('value_proj', hiddenSize);
    const norm = (name: string) => new StreamNorm(config, weights.at(name), name);
    this.keyNorm = norm('norm_key');
    this.queryNorm = norm('norm_query');
    this.convNorm = norm('norm_conv');
    this.root = new SignedRoot(weights, 'ngram_gate', 1e-6);
    this.conv = new CausalConv(layerId, weights.at('conv1d'), {
      ...{ channels, taps, distance: ngramSize, hasBias: false, activates: true, name: 'ngram_conv' },
    });
  }

  override getWeights(): TensorRef[] {
    return [this.shards, ...super.getWeights()];
  }

  override borrowed(): BorrowedTensor[] {
    return [[NGRAM_ROWS, ngramRowsOf(this.table)]];
  }

  /** `hidden` [tokens, streams * hidden] -> the streams with what they take, of the same shape. */
  buildGraph(graph: AtbGraph, hidden: string): string {
    const { config } = this;
    gatherRows(graph, this.shards.name, NGRAM_ROWS, 'ngram_parts');
    graph.addReshape('ngram_parts', 'ngrams', [dim(0), dim(1, 2)]);
    const value = buildLinear(graph, this.value, 'ngrams', 'ngram_value');
    graph.addReshape(this.buildGateGraph(graph, hidden), 'ngram_gate_column', [dim(0), dim(1), 1]);
    addPair(graph, 'ELEWISE_MUL', asStream(graph, value), 'ngram_gate_column', 'ngram_gated');
    graph.addReshape('ngram_gated', 'ngram_gated_rows', [dim(0), config.streams * config.hiddenSize]);
    const normed = this.convNorm.buildGraph(graph, 'ngram_gated_rows');
    const sum = addResidual(graph, 'ngram_gated_rows', this.conv.buildGraph(graph, normed), 'ngram_sum');
    return addResidual(graph, hidden, sum, 'ngram_streams');
  }

  /** How much each stream takes, [tokens, streams]: sigmoids of signed roots of products of key and query. */
  private buildGateGraph(graph: AtbGraph, hidden: string): string {
    const { config, weights } = this;
    const dtype = weights.dtype ?? 'f32';
    const keys = this.keyNorm.buildGraph(graph, buildLinear(graph, this.key, 'ngrams', 'ngram_key'));
    const products = addPair(
      graph,
      'ELEWISE_MUL',
      keys,
      this.queryNorm.buildGraph(graph, hidden),
      'ngram_products',
    );
    const sums = addSums(graph, asStreams(graph, products, config), 2, 'ngram_sums');
    const wide = addWidened(graph, sums, dtype, 'ngram_sums_wide');
    const scores = addScaled(graph, wide, 1 / Math.sqrt(config.hiddenSize), 'ngram_scores');
    const root = addNarrowed(graph, this.root.buildGraph(graph, scores), dtype, 'ngram_root_narrow');
    return addSigmoids(graph, root, 'ngram_gate');
  }
}

/** A table, whose shards lie one below the other in the checkpoint. */
function ngramTable(config: NgramEmbeddingConfig, weights: Weights, table: number): TensorRef {
  const { ngramShards, ngramWidth } = config;
  const hashes = ngramHashes(config, table);
  const columns = ngramWidth / hashes.sizes.flat().length;
  const rows = ngramTableRows(config, hashes);
  const most = Math.ceil(rows / ngramShards);
  if (most * (ngramShards - 1) >= rows) {
    const problem = `split_ngram_parts (${ngramShards}) must leave each part some of the ${rows} rows of a table`;
    throw new AtbError('CONFIG_INVALID', { file: 'config.json', problems: [problem] });
  }
  const [first, ...others] = Array.from({ length: ngramShards }, (_, shard) => {
    const count = Math.min(most, rows - most * shard);
    return weights.get(`shard_${shard}.weight`, [count, columns]);
  });
  return concatRows(weights.path('weight'), [first as TensorRef, ...others]);
}
