import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseRMSNorm, UnscaledRMSNorm } from '../../layers/norms/norms.js';
import { Linear } from '../../weights/linear.js';
import { rowsOf } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';

/** An encoder's rows, and its words, which have ids behind those of text. */
interface EmbeddedSizes {
  readonly hiddenSize: number;
  readonly vocabSize: number;
  /** The id of its first word. */
  readonly firstToken: number;
  readonly rmsNormEps: number;
}

/** What becomes of them. */
interface EndedRows {
  /** Behind those of the encoder. */
  readonly layerId: number;
  /** Ids of those of its words that stand behind all rows. */
  readonly words: readonly number[];
  /** The step input that says which rows and words become tokens. */
  readonly rows: string;
  /** Of the norm of rows, where it is not that of words. */
  readonly softEps?: number;
}

/** Some rows of an encoder and some of its words, normed and brought to the size of words of text: [rows, hidden] -> [tokens, out]. */
export class EndedEmbedder extends BaseLayer {
  readonly softNorm: BaseRMSNorm;
  readonly hardNorm: BaseRMSNorm;
  readonly proj: Linear;
  readonly norm: UnscaledRMSNorm;
  private readonly words: readonly TensorRef[];
  private readonly rows: string;

  constructor(
    { hiddenSize, vocabSize, firstToken, rmsNormEps }: EmbeddedSizes,
    weights: Weights,
    { hiddenSize: outFeatures }: { readonly hiddenSize: number },
    { layerId, words, rows, softEps = rmsNormEps }: EndedRows,
  ) {
    super(layerId, weights, 'embedder');
    this.softNorm = new BaseRMSNorm(weights.at('soft_embedding_norm'), hiddenSize, softEps);
    this.hardNorm = new BaseRMSNorm(weights.at('hard_embedding_norm'), hiddenSize, rmsNormEps);
    const parts = [{ name: 'embedding_projection', outFeatures }] as const;
    this.proj = Linear.load(weights, { parts, inFeatures: hiddenSize });
    this.norm = new UnscaledRMSNorm(weights.at('embedding_post_projection_norm'), outFeatures, rmsNormEps);
    const table = weights.at('embedding').get('weight', [vocabSize, hiddenSize]);
    this.words = words.map((id, at) => rowsOf(table, id - firstToken, 1, weights.path(`word_${at}`)));
    this.rows = rows;
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.words];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const concat = (a: string, b: string, out: string): string => {
      graph.addOperation(new BaseOperation('Concat', { concatDim: 0 }, out), [a, b], [out]);
      return out;
    };
    const words = this.words.map(({ name }) => name).reduce((a, b) => concat(a, b, 'words'));
    const all = concat(
      this.softNorm.buildGraph(graph, hidden),
      this.hardNorm.buildGraph(graph, words),
      'rows_and_words',
    );
    const rows = gatherRows(graph, all, this.rows, 'token_rows');
    return this.norm.buildGraph(graph, buildLinear(graph, this.proj, rows, 'embedder_out'));
  }
}
