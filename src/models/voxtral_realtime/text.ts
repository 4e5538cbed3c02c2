import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import type { DecoderConfig } from '../../layers/config/index.js';
import { addPair, addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseMLP } from '../../layers/mlp/mlp.js';
import { DELAY_CONDITION } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { buildGelu } from '../base/audio/index.js';
import { FlashLlamaForCausalLMATB, LlamaLayer } from '../llama/index.js';

/** Numbers between the two products that make scales of the delay: the class has no name for it. */
const NARROW = 32;

/** mlp(x * (1 + scales of the delay)). */
class DelayedMLP extends BaseMLP {
  readonly narrow: Linear;
  readonly wide: Linear;

  /** `weights` is the cursor of the layer. */
  constructor(config: DecoderConfig, weights: Weights) {
    super(config, weights.at('mlp'));
    const { hiddenSize } = config;
    const at = weights.at('ada_rms_norm');
    const load = (name: string, inFeatures: number, outFeatures: number): Linear =>
      Linear.load(at, { parts: [{ name, outFeatures }], inFeatures });
    this.narrow = load('linear1', hiddenSize, NARROW);
    this.wide = load('linear2', NARROW, hiddenSize);
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const narrow = buildGelu(graph, this.narrow, DELAY_CONDITION, 'delay_act');
    const scales = buildLinear(graph, this.wide, narrow, 'delay_scales');
    const scaled = addPair(graph, 'ELEWISE_MUL', input, scales, 'delay_scaled');
    return super.buildGraph(graph, kind, addResidual(graph, input, scaled, 'delayed_input'));
  }
}

/** Mistral, each of whose MLPs is told how far behind the sound words are written. */
export class DelayedMistralATB extends FlashLlamaForCausalLMATB {
  constructor(config: DecoderConfig, weights: Weights) {
    super(
      config,
      weights,
      (layerId, at) => new LlamaLayer(layerId, config, at, { mlp: new DelayedMLP(config, at) }),
    );
  }
}
