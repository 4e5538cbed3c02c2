import { unwrappedName } from './stored-names.js';

/** Names that only other formats have, and what to do about each. */
const FOREIGN_NAMES: ReadonlyArray<readonly [pattern: RegExp, remedy: string]> = [
  [
    /\.lora_(?:[AB]|embedding_[AB])\.|\.base_layer\./,
    'the files hold a LoRA adapter beside the weights of its model: merge it with `merge_and_unload()` of peft, and save the result',
  ],
  [
    /^(?:tok_embeddings|layers\.\d+\.attention\.w[qkvo])\.weight$/,
    "these are the names of Mistral's and Meta's own format; take the checkpoint in Hugging Face's format, or convert this one with transformers",
  ],
  [
    /^(?:token_embd|blk\.\d+\.attn_q)\.weight$/,
    'these are the names of llama.cpp; take the Hugging Face checkpoint that it was made of',
  ],
  [
    /^(?:decoder|encoder|language_model\.(?:decoder|encoder))\.layers\.\d+\.self_attention\.(?:linear_qkv|query_key_value)\./,
    'these are the names of Megatron; export the checkpoint in the format of Hugging Face',
  ],
];

/** What the user can do about a weight that is not in the files, going by the names that are. */
export function remedyOf(
  missing: string,
  stored: ReadonlySet<string>,
  nearest: string | undefined,
): string | undefined {
  for (const [pattern, remedy] of FOREIGN_NAMES) {
    for (const name of stored) if (pattern.test(name)) return remedy;
  }
  const inner = unwrappedName(nearest ?? '');
  if (inner.endsWith(`.${missing}`)) {
    const prefix = inner.slice(0, -missing.length);
    return `the names in the files begin with "${prefix}", as of a model inside another one: save the inner model by itself, or rename its tensors`;
  }
  if (missing === 'lm_head.weight') {
    return 'if the head of the model is its embedding, config.json must say "tie_word_embeddings": true; otherwise the model was saved without its head: save the one for causal language modelling';
  }
  const layers = layersHeld(missing, stored);
  if (layers !== undefined)
    return `the files hold the layers 0 to ${layers - 1} alone: config.json has more of them, so it is another checkpoint's, or files are missing`;
  return nearest
    ? 'a part of the names in the files is missing: save the model again with `save_pretrained`'
    : 'config.json asks for it, so it and the files must be of one checkpoint: copy both from where it comes from';
}

/** How many layers the files hold, where the missing weight is of one behind them. */
function layersHeld(missing: string, stored: ReadonlySet<string>): number | undefined {
  const [, before, layer] = /^(.*?\.)(\d+)\./.exec(missing) ?? [];
  if (before === undefined) return undefined;
  const isOf = (name: string): boolean => name.startsWith(before) && /^\d+\./.test(name.slice(before.length));
  const held = [...stored].filter(isOf).map((name) => Number.parseInt(name.slice(before.length), 10));
  const number = held.reduce((most, each) => Math.max(most, each + 1), 0);
  return number > 0 && Number(layer) >= number ? number : undefined;
}
