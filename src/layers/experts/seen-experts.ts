import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { constantRuns } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { LayerStep } from '../decoder/decoder-layers.js';
import { gatherRows } from '../formulas/gather-rows.js';
import { addResidual } from '../formulas/residual.js';
import { Module } from '../module.js';
import type { ExpertRouter } from './expert-router.js';
import type { Experts } from './experts.js';

/** 1 of tokens that are words, and of those that are seen; 0 of the others: [tokens, 1] each. */
const [WORDS, SEEN] = ['word_tokens', 'seen_tokens'];

/** Says of a step's tokens whether they are seen, for layers with `SeenExperts`: by their ids, which some tables know. */
export class SeenTokens extends Module {
  private readonly tables: Readonly<Record<string, TensorRef>>;

  /** `seen`: ids of tokens that are seen, below `vocabSize`. */
  constructor(weights: Weights, vocabSize: number, seen: readonly number[]) {
    super();
    const ids = [...new Set(seen)].filter((id) => id < vocabSize).sort((a, b) => a - b);
    const table = (name: string, isSeen: number): TensorRef => {
      const runs: [count: number, value: number][] = [];
      const add = (count: number, value: number) => {
        if (count > 0) runs.push([count, value]);
      };
      let at = 0;
      for (const id of ids) {
        add(id - at, 1 - isSeen);
        add(1, isSeen);
        at = id + 1;
      }
      add(vocabSize - at, 1 - isSeen);
      return constantRuns(weights.path(`${name}_table`), runs, [1]);
    };
    this.tables = { [WORDS]: table(WORDS, 0), [SEEN]: table(SEEN, 1) };
  }

  override getWeights(): TensorRef[] {
    return Object.values(this.tables);
  }

  buildGraph(graph: AtbGraph): void {
    for (const [out, { name }] of Object.entries(this.tables)) gatherRows(graph, name, 'input_ids', out);
  }
}

/** What chooses experts, and these. */
export interface RoutedExperts {
  readonly router: ExpertRouter;
  readonly experts: Experts;
}

/**
 * Experts of words, others of what is seen, and what all tokens pass through (ERNIE 4.5 Technical Report, section 2). All of
 * them read all tokens, and those that a token does not have count nothing.
 */
export class SeenExperts extends Module implements LayerStep {
  private readonly parts: readonly Module[];

  constructor(
    private readonly words: RoutedExperts,
    private readonly seen: RoutedExperts,
    private readonly shared: LayerStep | undefined,
  ) {
    super();
    this.parts = [words, seen].flatMap(({ router, experts }) => [router, experts]);
  }

  /** `input` [tokens, hidden] -> [tokens, hidden]. */
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { words, seen, shared } = this;
    const routed = ({ router, experts }: RoutedExperts, out: string) =>
      experts.buildGraph(graph, input, router.buildGraph(graph, input), out);
    const only = (rows: string, tokens: string): string => {
      const out = `${tokens}_experts`;
      const multiply = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, out);
      graph.addOperation(multiply, [rows, tokens], [out]);
      return out;
    };
    const [ofWords, ofSeen] = [routed(words, 'experts_out'), routed(seen, 'seen_experts_out')];
    const sum = addResidual(graph, only(ofWords, WORDS), only(ofSeen, SEEN), 'all_experts_out');
    return shared ? addResidual(graph, sum, shared.buildGraph(graph, kind, input), 'moe_out') : sum;
  }
}
