import { ggufConfig, ggufGenerationConfig } from '../weights/gguf/config.js';
import { GgufModel } from '../weights/gguf/model-file.js';
import { ggufByteLevelJson } from './gguf-byte-level.js';
import { ggufSentencePiece } from './gguf-sentencepiece.js';

/** The files of a folder that a GGUF file stands for, as far as somebody lists them. */
export const GGUF_FILES: readonly string[] = ['tokenizer.model'];

/**
 * A file of the folder that a GGUF file stands for, made of its metadata; undefined for what it has not.
 * @throws WEIGHT_FILE_*, CONFIG_INVALID, TOKENIZER_INVALID
 */
export async function readGgufFile(path: string, name: string): Promise<Buffer | undefined> {
  const json = (value: unknown) => (value === undefined ? undefined : Buffer.from(JSON.stringify(value)));
  const model = await GgufModel.open(path);
  switch (name) {
    case 'config.json':
      return json(await ggufConfig(model));
    case 'generation_config.json':
      return json(ggufGenerationConfig(model));
    case 'tokenizer_config.json':
      return json(tokenizerConfig(model));
    case 'tokenizer.json':
      return json(ggufByteLevelJson(model));
    case 'tokenizer.model':
      return ggufSentencePiece(model);
    case 'vocab.txt':
      return wordPieces(model);
    case 'modules.json':
      return json(poolingOf(model) && MODULES);
    case '1_Pooling/config.json':
      return json(
        poolingOf(model) && {
          pooling_mode: poolingOf(model),
          embedding_dimension: model.number('embedding_length'),
        },
      );
    default:
      return undefined;
  }
}

/** tokenizer_config.json. Where texts do not say otherwise, SentencePiece models begin them with a token, as in llama.cpp. */
function tokenizerConfig(model: GgufModel): Readonly<Record<string, unknown>> {
  const tokens = model.list('tokenizer.ggml.tokens', 'string') ?? [];
  const isSentencePiece = model.text('tokenizer.ggml.model') === 'llama';
  const token = (name: string) => {
    const id = model.metadata.get(`tokenizer.ggml.${name}_token_id`);
    return typeof id === 'number' ? tokens[id] : undefined;
  };
  const flag = (name: string) => model.metadata.get(`tokenizer.ggml.add_${name}`);
  return {
    ...(isSentencePiece && { tokenizer_class: 'LlamaTokenizer' }),
    // llama.cpp knows no WordPiece of cased texts.
    ...(model.text('tokenizer.ggml.model') === WORD_PIECE && { tokenizer_class: 'BertTokenizer' }),
    add_bos_token: flag('bos_token') ?? (isSentencePiece ? true : undefined),
    add_eos_token: flag('eos_token'),
    bos_token: token('bos'),
    eos_token: token('eos'),
    unk_token: token('unknown'),
    pad_token: token('padding'),
    clean_up_tokenization_spaces: false,
    chat_template: chatTemplates(model),
  };
}

const WORD_PIECE = 'bert';
const CONTROL = 3;

/** The pieces of WordPiece, a line each. GGUF marks those that begin words, where vocab.txt marks the others. */
function wordPieces(model: GgufModel): Buffer | undefined {
  if (model.text('tokenizer.ggml.model') !== WORD_PIECE) return undefined;
  const types = model.list('tokenizer.ggml.token_type', 'number') ?? [];
  const lines = (model.list('tokenizer.ggml.tokens', 'string') ?? []).map((token, id) => {
    if (types[id] === CONTROL) return token;
    return token.startsWith('▁') ? token.slice(1) : `##${token}`;
  });
  return Buffer.from(lines.join('\n'));
}

/** How hidden states become one vector, which the server of llama.cpp then makes of length 1. */
const POOLING = ['', 'mean', 'cls', 'lasttoken'] as const;
const MODULES = ['Transformer', 'Pooling', 'Normalize'].map((type, idx) => ({
  idx,
  name: `${idx}`,
  path: idx === 0 ? '' : `${idx}_${type}`,
  type: `sentence_transformers.models.${type}`,
}));

/** @throws CONFIG_INVALID for a model that ranks */
function poolingOf(model: GgufModel): string | undefined {
  const type = model.optional('pooling_type') ?? 0;
  const found = POOLING[type];
  if (found === undefined)
    return model.fail(
      `pooling_type must be 0 to 3 (none, mean, cls, last), found ${type}: take the Hugging Face checkpoint of a model that ranks`,
    );
  return found || undefined;
}

/** The template, or several by their names. */
function chatTemplates(model: GgufModel): unknown {
  const plain = model.text('tokenizer.chat_template');
  const names = model.list('tokenizer.chat_templates', 'string') ?? [];
  if (names.length === 0) return plain;
  const named = names.map((name) => ({
    name,
    template: model.text(`tokenizer.chat_template.${name}`) ?? '',
  }));
  return plain === undefined ? named : [{ name: 'default', template: plain }, ...named];
}
