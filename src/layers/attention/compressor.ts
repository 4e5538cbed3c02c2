import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import { STATE_FROM, STATE_TO } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { inF32, transposed, withRowOrder } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import { layerState, type StateRef } from '../cache-ref.js';
import { buildLinear } from '../linear/linear-steps.js';
import { Module } from '../module.js';
import { BaseRMSNorm } from '../norms/norms.js';
import { type TailedHeads, tailOrder } from './turned-tails.js';

/** What makes one entry of several tokens is told. */
export interface CompressorSizes extends TailedHeads {
  readonly hiddenSize: number;
  readonly rmsNormEps: number;
  /** Tokens of an entry. */
  readonly tokensPerEntry: number;
  /** Whether an entry is made of the tokens of the entry before it, too. */
  readonly overlaps: boolean;
}

/**
 * Makes an entry of every few tokens: a mean of their values by gates, normed. What is known of an entry that has not all
 * its tokens is a state, which goes from token to token.
 */
export class Compressor extends Module {
  readonly valuesAndGates: Linear;
  readonly norm: BaseRMSNorm;
  private readonly bias: TensorRef;
  private readonly state: StateRef;

  /** `name`: in graphs. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED, WEIGHT_QUANT_*. */
  constructor(
    layerId: number,
    weights: Weights,
    private readonly sizes: CompressorSizes,
    private readonly name: string,
  ) {
    super();
    const { hiddenSize, size, tokensPerEntry, overlaps, rmsNormEps } = sizes;
    const series = overlaps ? 2 : 1;
    const rowOrder = tailOrder(series, sizes);
    const part = (of: string) => ({ name: of, outFeatures: series * size, rowOrder, hasBias: false });
    this.valuesAndGates = Linear.load(weights, {
      name: 'wkv_wgate',
      parts: [part('wkv'), part('wgate')],
      inFeatures: hiddenSize,
    });
    const bias = weights.get('ape', [tokensPerEntry, series * size]);
    this.bias = inF32(withRowOrder(transposed(bias), rowOrder));
    this.norm = new BaseRMSNorm(weights.at('norm'), size, rmsNormEps, tailOrder(1, sizes), `${name}_norm`);
    this.state = layerState(layerId, `${name}_state`, 3 * series * size);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.bias];
  }

  override states(): StateRef[] {
    return [this.state];
  }

  /** `input` [tokens, hidden] -> `<name>` [tokens, 1, size]: for a token that ends an entry, that before it is turned. */
  buildGraph(graph: AtbGraph, input: string): string {
    const { name, sizes, state, bias } = this;
    const { tokensPerEntry, overlaps, size } = sizes;
    const rows = buildLinear(graph, this.valuesAndGates, input, `${name}_rows_out`);
    const pool = new BaseOperation(
      'WindowPool',
      { tokensPerEntry, ...(overlaps && { overlaps }) },
      `${name}_pool`,
    );
    const inputs = [rows, bias.name, 'seq_len', state.name, STATE_FROM, STATE_TO, 'q_len'];
    graph.addOperation(pool, inputs, [`${name}_pooled`, state.name]);
    graph.addReshape(this.norm.buildGraph(graph, `${name}_pooled`), name, [dim(0), 1, size]);
    return name;
  }
}
