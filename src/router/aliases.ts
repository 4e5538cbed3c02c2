/** Other names of a model_type; everything known of such names is here. */
export const MODEL_TYPE_ALIASES: ReadonlyMap<string, string> = new Map([
  // transformers maps it to LlamaConfig.
  ['code_llama', 'llama'],
]);
