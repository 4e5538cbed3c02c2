import { ngramRowsOf } from '../../layers/streams/ngram-embeddings.js';
import { ngramHashes } from '../../layers/streams/ngram-hashes.js';
import { registerModel, routerOf } from '../../router/index.js';
import { ngramRows, type StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FlashForCausalLMATB } from '../base/flash-for-causal-lm-atb.js';
import { GUESSING_LAYERS } from '../qwen3_next/index.js';
import { QWEN4_EXP_CONFIG, type Qwen4ExpConfig } from './config-qwen4-exp.js';
import { Qwen4ExpModelATB } from './modeling-qwen4-exp.js';

export * from './config-qwen4-exp.js';
export * from './modeling-qwen4-exp.js';

/** The rows of each table of n-grams. */
export const ngramTables = (config: Qwen4ExpConfig): StepInput[] =>
  config.ngramLayers.map((_, table) => ngramRows(ngramRowsOf(table), ngramHashes(config, table)));

/** Qwen3.8's text: Qwen3.5 in several streams, which take of a large table of n-grams, too. */
export class FlashQwen4ExpTextForCausalLMATB extends FlashForCausalLMATB<Qwen4ExpConfig> {
  readonly name = 'qwen4_exp_text';
  protected readonly model: Qwen4ExpModelATB;
  private readonly tables: readonly StepInput[];

  constructor(config: Qwen4ExpConfig, weights: Weights) {
    super(config, weights);
    this.model = new Qwen4ExpModelATB(config, weights.at('model'));
    this.tables = ngramTables(config);
  }

  override get stepInputs(): readonly StepInput[] {
    return [...super.stepInputs, ...this.tables];
  }
}

/** What files have and nobody reads. */
export const QWEN4_EXP_UNREAD = [
  ...GUESSING_LAYERS,
  /\.self_attn\.indexer\./,
  // They follow from the configuration.
  /\.ple_embedding\.(layer_multipliers|ngram_heads_vocab_sizes|ngram_heads_offsets)$/,
];

export const Qwen4ExpTextRouter = routerOf(QWEN4_EXP_CONFIG, FlashQwen4ExpTextForCausalLMATB, {
  about: {
    kind: 'experts',
    features: ['as qwen3_5_moe_text', 'several gated streams', 'embeddings of n-grams'],
    reference: 'transformers',
  },
  harmlessTensors: QWEN4_EXP_UNREAD,
});
registerModel('qwen4_exp_text', Qwen4ExpTextRouter);
