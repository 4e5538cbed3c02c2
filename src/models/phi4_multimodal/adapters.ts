import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { Qkv } from '../../layers/attention/base-attention.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { LowRankAdapter } from '../../layers/linear/low-rank-adapter.js';
import { projectionsOf } from '../../layers/linear/projections.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { adapterShares, type StepInput, switchedAdapter } from '../../step-inputs/index.js';
import type { LinearPart } from '../../weights/linear-part.js';
import type { Weights } from '../../weights/weights.js';
import { adapterScale } from '../base/peft-adapter.js';
import { LlamaAttention } from '../llama/index.js';
import { PHI3_MLP, PHI3_QKV } from '../phi3/index.js';
import type { AdapterTarget, Phi4Config } from './config.js';

/** Both kinds: the checkpoint's name of each, and for which prompts it counts. */
const kindsOf = ({ pictureAdapter, soundAdapter }: Phi4Config) =>
  [
    { name: 'vision', showing: 'pictures', adapter: pictureAdapter },
    { name: 'speech', showing: 'sound', adapter: soundAdapter },
  ] as const;

/** How much each adapter counts for tokens of a step. */
export const adapterInputs = (config: Phi4Config): readonly StepInput[] =>
  kindsOf(config).flatMap(({ showing, adapter }) =>
    adapter ? [switchedAdapter(adapterScale(adapter), showing)] : [],
  );

/** What prompts with pictures, and those with sound alone, add to one projection. */
class ProjectionAdapters extends Module {
  readonly adapters: readonly LowRankAdapter[];

  /** `weights`: of attention, or of the MLP. `partsOf`: rows of the projection, where they lie otherwise in the engine. */
  constructor(
    target: AdapterTarget,
    config: Phi4Config,
    weights: Weights,
    sizes: { readonly inFeatures: number; readonly outFeatures: number },
    partsOf?: (packed: string) => readonly [LinearPart, ...LinearPart[]],
  ) {
    super();
    this.adapters = kindsOf(config).flatMap(({ name, showing, adapter }) => {
      if (!adapter?.targets.includes(target)) return [];
      const names = { down: `lora_A.${name}`, up: `lora_B.${name}` };
      const parts = partsOf && { parts: partsOf(names.up) };
      const options = { names, shares: adapterShares(showing), ...parts };
      return [
        new LowRankAdapter(
          `${target}_${name}`,
          { ...sizes, rank: adapter.rank },
          weights.at(target),
          options,
        ),
      ];
    });
  }

  /** `input` [tokens, in] and what the projection makes of it, [tokens, out] -> the sum's name, of the same shape. */
  buildGraph(graph: AtbGraph, input: string, projected: string): string {
    return this.adapters.reduce((sum, adapter) => adapter.buildGraph(graph, input, sum), projected);
  }
}

/** Attention with adapters of its projections. */
export class PhiAttention extends LlamaAttention {
  readonly qkvAdapters: ProjectionAdapters;
  readonly denseAdapters: ProjectionAdapters;

  /** Throws what `BaseAttention` throws. */
  constructor(
    layerId: number,
    private readonly phi: Phi4Config,
    weights: Weights,
  ) {
    super(layerId, phi, weights, { qkv: PHI3_QKV });
    const { hiddenSize, numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = phi;
    const qkv = { inFeatures: hiddenSize, outFeatures: (heads + 2 * kvHeads) * headDim };
    this.qkvAdapters = new ProjectionAdapters('qkv_proj', phi, weights, qkv, (packed) =>
      projectionsOf(phi, { ...PHI3_QKV, packed }, false),
    );
    const dense = { inFeatures: heads * headDim, outFeatures: hiddenSize };
    this.denseAdapters = new ProjectionAdapters('o_proj', phi, weights, dense);
  }

  override buildQkvGraph(graph: AtbGraph, input: string): Qkv {
    const { numAttentionHeads: heads, numKeyValueHeads: kvHeads, headDim } = this.phi;
    const splitSizes = [heads, kvHeads, kvHeads].map((count) => count * headDim);
    return this.qkvAdapters.adapters.reduce(
      (sum, adapter) => {
        const added = adapter.buildPartGraph(graph, input);
        const [q, k, v] = ['q', 'k', 'v'].map((of) => `${added}_${of}`) as [string, string, string];
        const split = new BaseOperation('Split', { splitDim: 1, splitNum: 3, splitSizes }, `${added}_split`);
        graph.addOperation(split, [added], [q, k, v]);
        return {
          q: addResidual(graph, sum.q, q, `${q}_sum`),
          k: addResidual(graph, sum.k, k, `${k}_sum`),
          v: addResidual(graph, sum.v, v, `${v}_sum`),
        };
      },
      super.buildQkvGraph(graph, input),
    );
  }

  override buildDenseGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    return this.denseAdapters.buildGraph(graph, input, super.buildDenseGraph(graph, kind, input));
  }
}

/** An MLP with adapters of its projections. */
export class PhiMLP extends BaseMLP {
  readonly gateUpAdapters: ProjectionAdapters;
  readonly downAdapters: ProjectionAdapters;

  /** Throws what `BaseMLP` throws. */
  constructor(config: Phi4Config, weights: Weights) {
    super(config, weights, { names: PHI3_MLP });
    const { hiddenSize, intermediateSize } = config;
    const gateUp = { inFeatures: hiddenSize, outFeatures: 2 * intermediateSize };
    const down = { inFeatures: intermediateSize, outFeatures: hiddenSize };
    this.gateUpAdapters = new ProjectionAdapters('gate_up_proj', config, weights, gateUp);
    this.downAdapters = new ProjectionAdapters('down_proj', config, weights, down);
  }

  override buildGateUpGraph(graph: AtbGraph, input: string): string {
    return this.gateUpAdapters.buildGraph(graph, input, super.buildGateUpGraph(graph, input));
  }

  override buildDownGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    return this.downAdapters.buildGraph(graph, input, super.buildDownGraph(graph, kind, input));
  }
}
