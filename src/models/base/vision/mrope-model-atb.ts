import type { AtbGraph } from '../../../graph/atb-graph.js';
import type { GraphKind } from '../../../graph/graph-kind.js';
import type { DecoderConfig } from '../../../layers/config/index.js';
import type { Module } from '../../../layers/module.js';
import { BaseRMSNorm } from '../../../layers/norms/norms.js';
import { deepRows, insertedRows, mrope, type StepInput, turnsInThrees } from '../../../step-inputs/index.js';
import type { Weights } from '../../../weights/weights.js';
import { LlamaLayer, type MakeLayer } from '../../llama/index.js';
import { BaseModelATB, type LastStep } from '../base-model-atb.js';
import { FlashWithEncoderATB } from '../flash-with-encoder-atb.js';
import { buildInsertGraph, buildMropeGraph } from '../insert-steps.js';

/** A decoder whose positions have three axes, by sections of frequencies. */
export interface MropeConfig extends DecoderConfig {
  readonly sections: readonly number[];
  /** Whether axes take turns, frequency by frequency; false when absent. */
  readonly isInterleaved?: boolean;
  /** By which axis each of headDim / 2 frequencies turns, where it is in another way. */
  readonly turns?: readonly number[];
  /** Layers behind which vectors of the encoder are added; none when absent. */
  readonly deepLevels?: readonly number[];
}

/** Where a model's text differs from Llama's. */
export interface MropeParts {
  readonly layer?: MakeLayer;
  /** Of the last layer. `weights` is its cursor, `model` the one of all text. */
  norm?(weights: Weights, model: Weights): LastStep;
  /** What embeddings become before the first layer: themselves when absent. Returns its name. */
  begin?(graph: AtbGraph, embeddings: string): string;
  /** What else layers read that is computed before them. */
  readonly front?: Module & { buildGraph(graph: AtbGraph, kind: GraphKind): void };
}

/** Llama among whose embeddings are some that an encoder made, turned by positions of three axes. */
export class MropeModelATB extends BaseModelATB {
  private readonly front: MropeParts['front'];
  private readonly begin: MropeParts['begin'];
  private readonly mrope: Pick<MropeConfig, 'sections' | 'isInterleaved' | 'turns' | 'deepLevels'>;

  constructor(config: MropeConfig, weights: Weights, { layer, norm, front, begin }: MropeParts = {}) {
    const last = weights.at('norm');
    super(config, weights, {
      layer: layer ?? ((layerId, at) => new LlamaLayer(layerId, config, at)),
      norm: norm?.(last, weights) ?? new BaseRMSNorm(last, config.hiddenSize, config.rmsNormEps),
    });
    this.mrope = config;
    this.front = front;
    this.begin = begin;
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind): string {
    return this.buildLayersGraph(graph, kind, this.buildInputGraph(graph, kind), this.mrope.deepLevels);
  }

  override buildInputGraph(graph: AtbGraph, kind: GraphKind): string {
    const hidden = buildInsertGraph(graph, kind, this.buildWordEmbeddingGraph(graph));
    const { sections, isInterleaved, turns } = this.mrope;
    buildMropeGraph(graph, kind, sections, isInterleaved || turns !== undefined);
    this.front?.buildGraph(graph, kind);
    return this.begin?.(graph, hidden) ?? hidden;
  }
}

/** Where the parts of a model that sees stand: transformers 5 keeps them together in memory, files mostly apart. */
export function rootsOf(weights: Weights): { readonly text: string; readonly vision: string } {
  return weights.has('model.language_model.embed_tokens.weight')
    ? { text: 'model.language_model', vision: 'model.visual' }
    : { text: 'model', vision: 'visual' };
}

/** A model that reads words and what its encoder makes of pictures. */
export abstract class FlashMropeForCausalLMATB<C extends MropeConfig> extends FlashWithEncoderATB<C> {
  protected readonly model: MropeModelATB;

  constructor(config: C, weights: Weights, parts?: MropeParts) {
    const { text } = rootsOf(weights);
    super(config, weights, { names: { embedding: `${text}.embed_tokens`, head: 'lm_head' } });
    this.model = new MropeModelATB(config, weights.at(text), parts);
  }

  protected override get decoderInputs(): readonly StepInput[] {
    const { rope, hiddenSize, headDim, sections, isInterleaved, deepLevels = [] } = this.config;
    const inThrees = isInterleaved ? turnsInThrees(headDim, sections) : undefined;
    const [tokenIds, , ...others] = super.decoderInputs;
    return [
      ...(tokenIds ? [tokenIds] : []),
      mrope(rope, this.config.turns ?? inThrees),
      ...others,
      insertedRows(hiddenSize),
      ...(deepLevels.length > 0 ? [deepRows(hiddenSize, deepLevels.length)] : []),
    ];
  }
}
