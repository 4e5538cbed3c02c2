import { type ConfigOf, defineConfig, within } from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { QWEN3_5_BESIDE_TEXT } from '../qwen3_5/index.js';
import { FlashQwen3vlForCausalLMATB, QWEN3_VL_IRRELEVANT, TimedProcessor } from '../qwen3_vl/index.js';
import {
  ngramTables,
  QWEN4_EXP_FIELDS,
  QWEN4_EXP_IRRELEVANT,
  QWEN4_EXP_UNREAD,
  streamedParts,
} from '../qwen4_exp_text/index.js';

const QWEN4_EXP_CONFIG = defineConfig({
  fields: {
    ...within('text_config', QWEN4_EXP_FIELDS, Object.keys(QWEN4_EXP_IRRELEVANT)),
    ...QWEN3_5_BESIDE_TEXT,
  },
  irrelevant: QWEN3_VL_IRRELEVANT,
});
type Qwen4ExpConfig = ConfigOf<typeof QWEN4_EXP_CONFIG>;

/** Qwen3.8, which sees: its text behind the tower of Qwen3.5. */
export class FlashQwen4ExpForCausalLMATB extends FlashQwen3vlForCausalLMATB<Qwen4ExpConfig> {
  override readonly name = 'qwen4_exp';
  private readonly tables: readonly StepInput[];

  constructor(config: Qwen4ExpConfig, weights: Weights) {
    super(config, weights, streamedParts(config));
    this.tables = ngramTables(config);
  }

  protected override get decoderInputs(): readonly StepInput[] {
    return [...super.decoderInputs, ...this.tables];
  }
}

export const Qwen4ExpRouter = routerOf(QWEN4_EXP_CONFIG, FlashQwen4ExpForCausalLMATB, {
  mediaProcessor: TimedProcessor.read,
  harmlessTensors: QWEN4_EXP_UNREAD,
  about: { kind: 'media', features: ['as qwen3_5', 'text of qwen4_exp_text'], reference: 'transformers' },
});
registerModel('qwen4_exp', Qwen4ExpRouter);
