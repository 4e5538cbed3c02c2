import type { LLM } from '../engine/llm.js';
import { AtbError } from '../errors.js';
import type { HfTokenizer } from '../tokenizer/hf-tokenizer.js';
import type { InputBuilder } from '../tokenizer/input-builder.js';

/** A model that is ready for requests, under the name that they call it by. */
export interface ServedModel {
  readonly name: string;
  readonly llm: LLM;
  readonly tokenizer: HfTokenizer;
  readonly inputBuilder: InputBuilder;
}

/** @throws OPTION_UNSUPPORTED for a model without its tokenizer, which could only be asked in token ids */
export function serveModel(name: string, llm: LLM): ServedModel {
  const { tokenizer, inputBuilder } = llm.text;
  if (!tokenizer || !inputBuilder)
    throw new AtbError('OPTION_UNSUPPORTED', {
      option: 'loadTokenizer',
      found: false,
      reason: 'a server reads and writes text',
    });
  return { name, llm, tokenizer, inputBuilder };
}
