/** Families that people ask for and that are not built, with what they would need. */
export const NOT_BUILT: ReadonlyMap<string, string> = new Map([
  [
    'ernie4_5_moe_vl',
    'its files are for code of their own; ernie4_5_vl_moe, as transformers 5 writes the same model, is read',
  ],
  [
    'unlimited_ocr',
    'its text sees all of a prompt, but of what it writes a window alone, for which attention has no form here; ' +
      'DeepSeek-OCR, deepseek_vl_v2, whose encoder it has, is read',
  ],
]);

/** Other names of a model_type; everything known of such names is here. `familyOf` looks them up. */
export const MODEL_TYPE_ALIASES: ReadonlyMap<string, string> = new Map([
  // transformers maps it to LlamaConfig.
  ['code_llama', 'llama'],
  // Published with code of their own, which vLLM's registry maps to its llama: the same steps under the same names.
  ['aquila', 'llama'],
  ['telechat3', 'llama'],
  ['xverse', 'llama'],
  // transformers has both: the second's key is absent in the first.
  ['granitemoeshared', 'granitemoe'],
  // transformers maps it to its Llama, and refuses what its published files do not ask for.
  ['iquestcoder', 'llama'],
  // Checkpoints of that part alone, which writes.
  ['qwen2_5_omni_thinker', 'qwen2_5_omni'],
  ['qwen3_omni_moe_thinker', 'qwen3_omni_moe'],
  // transformers' class is Granite's, which may get vectors of pictures beside its words.
  ['granite_docling_text', 'granite'],
  // transformers' class is Granite Speech's, whose queries may see several layers of the encoder.
  ['granite_speech_plus', 'granite_speech'],
  // What HyperCLOVAX-SEED-Think-32B was published as, with code of its own, which transformers maps to the other name.
  ['vlm', 'hyperclovax_vision_v2'],
  // As it was published, with code of its own and other names of tensors.
  ['phi4mm', 'phi4_multimodal'],
  // transformers maps it to GPT2Config.
  ['gpt-sw3', 'gpt2'],
  // As their folders and their graphs are called, whose names have no hyphen.
  ['blip_2', 'blip-2'],
  ['openai_gpt', 'openai-gpt'],
  ['data2vec_text', 'data2vec-text'],
  ['deberta_v2', 'deberta-v2'],
  ['megatron_bert', 'megatron-bert'],
  ['roberta_prelayernorm', 'roberta-prelayernorm'],
  ['xlm_roberta_xl', 'xlm-roberta-xl'],
  ['modernbert_decoder', 'modernbert-decoder'],
  // As it was published, with code of its own, which transformers reads as the other name.
  ['NemotronH_Nano_Omni_Reasoning_V3', 'nemotron_h_omni'],
  // LLaVA's first code calls it so where its text is Mistral.
  ['llava_mistral', 'llava_llama'],
  // Kimi-K2's code is DeepSeek-V3's with other sizes.
  ['kimi_k2', 'deepseek_v3'],
  // MindIE's name of what checkpoints call minicpmv.
  ['minicpm_qwen2_v2', 'minicpmv'],
  // What Hunyuan-A13B was published as, with code of its own; transformers has it under the other name.
  ['hunyuan', 'hunyuan_v1_moe'],
]);

/** The `model_type` that a name means: itself, or that of which it is another name. */
export const familyOf = (modelType: string): string => MODEL_TYPE_ALIASES.get(modelType) ?? modelType;
