import type { AtbGraph, GraphSpec } from '../../graph/atb-graph.js';
import { DECODER_KINDS, ENCODE, ENCODE_SECOND, type GraphKind } from '../../graph/graph-kind.js';
import type { BaseConfig, DecoderConfig } from '../../layers/config/index.js';
import type { Module } from '../../layers/module.js';
import type { StepInput } from '../../step-inputs/index.js';
import { refuseAdapters } from '../../weights/adapter.js';
import { uniqueWeights } from '../../weights/weight-identity.js';
import type { TensorRef } from '../../weights/weights.js';
import { FlashForCausalLMATB } from './flash-for-causal-lm-atb.js';
import { modelGraph } from './model-graph.js';

/** What makes embeddings of something that is no text. */
export interface Encoder extends Module {
  /** What a step of it brings. */
  readonly stepInputs: readonly StepInput[];
  /** Adds itself: returns the name of the embeddings, [rows, width]. */
  buildGraph(graph: AtbGraph, kind: GraphKind): string;
}

/** What graphs of one kind alone read: those of another may have inputs of the same names that are made otherwise. */
const ofGraph = (kind: GraphKind, inputs: readonly StepInput[]): readonly StepInput[] =>
  inputs.map((input) => ({
    ...input,
    describe: (sizes) => (sizes.kind === kind ? input.describe(sizes) : {}),
    ...(input.make && {
      make: (step, run) => (step.kind === kind ? (input.make?.(step, run) ?? {}) : {}),
    }),
  }));

/** A causal language model that also reads what is no text, by a graph of the kind `encode` beside its own. */
export abstract class FlashWithEncoderATB<
  C extends BaseConfig = DecoderConfig,
> extends FlashForCausalLMATB<C> {
  protected abstract readonly encoderModule: Encoder;
  /** Of sound or of frames, where the other reads pictures. */
  protected readonly secondModule: Encoder | undefined = undefined;

  /** Of models with a second encoder one more, ENCODE_SECOND. */
  override readonly graphKinds: readonly GraphKind[] = [...DECODER_KINDS, ENCODE];

  override get stepInputs(): readonly StepInput[] {
    const { encoderModule: seen, secondModule: heard } = this;
    const encoders = heard
      ? [...ofGraph(ENCODE, seen.stepInputs), ...ofGraph(ENCODE_SECOND, heard.stepInputs)]
      : seen.stepInputs;
    return [...new Set([...this.decoderInputs, ...encoders])];
  }

  protected override get decoderInputs(): readonly StepInput[] {
    return super.stepInputs;
  }

  override getWeights(): TensorRef[] {
    const ofSecond = this.secondModule?.getWeights() ?? [];
    return uniqueWeights([...this.decoderWeights(), ...this.encoderModule.getWeights(), ...ofSecond]);
  }

  override buildGraph(kind: GraphKind): GraphSpec {
    const encoder = kind === ENCODE_SECOND ? this.secondModule : this.encoderModule;
    if (kind.fillsCache || !encoder) return super.buildGraph(kind);
    refuseAdapters(encoder.getWeights());
    const weights = encoder.getWeights().map((weight) => weight.name);
    const own = encoder === this.encoderModule ? this.shownNames() : [];
    return modelGraph(`${this.name}_${kind.name}_graph`, [...weights, ...own], encoder.stepInputs, (graph) =>
      encoder.buildGraph(graph, kind),
    );
  }

  /** It generates: as a reader of whole texts it would not be asked for what it sees. */
  override encoder(): undefined {
    return undefined;
  }
}
