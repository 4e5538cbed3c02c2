import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EncoderInput } from '../../src/media/index.js';
import { seededCheckpoint } from '../oracle/families.js';
import { type SeededWeights, seededSafetensors } from '../oracle/seeded-weights.js';
import { VISION_DIR } from '../oracle/vision.js';

/** Ids of bytes come first. */
const BYTES = 256;
const SPECIALS = [
  '<|endoftext|>',
  '<|im_start|>',
  '<|im_end|>',
  '<|vision_start|>',
  '<|vision_end|>',
  '<|image_pad|>',
  '<|video_pad|>',
  '<img>',
  '</img>',
  '<IMG_CONTEXT>',
  '<unk>',
  '<image>',
  '</image>',
  '<slice>',
  '</slice>',
  '<image_id>',
  '</image_id>',
  '[AUDIO]',
  '[BEGIN_AUDIO]',
  '[STREAMING_PAD]',
] as const;

/** The id of a special token. */
export const special = (token: (typeof SPECIALS)[number]): number => BYTES + SPECIALS.indexOf(token);

/** The ids of a text without special tokens. */
export const bytesOf = (text: string): number[] => [...Buffer.from(text)];

/** What stands for each byte in the vocabulary of a byte-level BPE: printable characters. */
function characterOf(byte: number): string {
  const isPrintable = (code: number): boolean =>
    (code >= 33 && code <= 126) || (code >= 161 && code <= 172) || (code >= 174 && code <= 255);
  if (isPrintable(byte)) return String.fromCodePoint(byte);
  const before = Array.from({ length: byte }, (_, code) => code).filter((code) => !isPrintable(code));
  return String.fromCodePoint(256 + before.length);
}

const TEMPLATE = `{%- for message in messages -%}
<|im_start|>{{ message.role }}{{ '\\n' }}
{%- if message.content is string -%}{{ message.content }}
{%- else -%}{%- for part in message.content -%}
{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif part.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>
{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}{%- endif -%}<|im_end|>{{ '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant{{ '\\n' }}{%- endif -%}`;

/** A template that knows texts alone. */
const TEXT_TEMPLATE = `{%- for message in messages -%}
<|im_start|>{{ message.role }}{{ '\\n' }}{{ message.content }}<|im_end|>{{ '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant{{ '\\n' }}{%- endif -%}`;

interface SeeingModel {
  /** That of the family when absent. */
  readonly template?: string;
  /** How many tokens it knows: those special tokens that are below. */
  readonly vocab: number;
  /** What stands for a picture, and for a sound. */
  readonly picture?: (typeof SPECIALS)[number];
  readonly sound?: (typeof SPECIALS)[number];
}

/** How each writes messages. */
const MODELS = {
  qwen2_vl: { template: TEMPLATE, vocab: 272 },
  'internvl_chat-qwen2': { template: TEXT_TEMPLATE, vocab: 272 },
  minicpm_qwen2_v2: { template: TEXT_TEMPLATE, vocab: 280 },
  llava_onevision: { template: TEMPLATE, vocab: 272 },
  paligemma: { vocab: 272, picture: '<image>' },
  llava_llama: { vocab: 272 },
  llava_mistral: { vocab: 272 },
  llava_qwen2: { template: TEXT_TEMPLATE, vocab: 272 },
  voxtral: { vocab: 280, sound: '[AUDIO]' },
  voxtral_realtime: { vocab: 280 },
} as const satisfies Readonly<Record<string, SeeingModel>>;

/** A model with random weights, a tokenizer of bytes and a chat template; call `remove` when done. */
export function seeingModel(name: keyof typeof MODELS = 'qwen2_vl'): {
  readonly path: string;
  remove(): void;
} {
  const folder = join(VISION_DIR, name);
  const { template, vocab: size, picture = '<|image_pad|>', sound }: SeeingModel = MODELS[name];
  const checkpoint = seededCheckpoint(folder);
  const write = (name: string, value: unknown): void =>
    writeFileSync(join(checkpoint.path, name), typeof value === 'string' ? value : JSON.stringify(value));
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8'));
  const textKey = ['llm_config', 'text_config'].find((key) => key in config);
  // Some files say index.
  const nameOf = (token: string) => (`${token}_index` in config ? `${token}_index` : `${token}_id`);
  const changes = {
    vocab_size: size,
    max_position_embeddings: 512,
    eos_token_id: special('<|im_end|>'),
  };
  write('config.json', {
    ...config,
    ...(textKey === undefined ? changes : { [textKey]: { ...config[textKey], ...changes } }),
    ...(sound !== undefined && { audio_token_id: special(sound) }),
    ...(textKey === 'text_config' &&
      'vision_config' in config && {
        [nameOf('image_token')]: special(picture),
        [nameOf('video_token')]: special('<|video_pad|>'),
      }),
  });
  const recipe: SeededWeights = JSON.parse(readFileSync(join(folder, 'weights.json'), 'utf8'));
  const tensors = Object.entries(recipe.tensors).map(([name, tensor]) => {
    const [rows, ...inner] = tensor.shape;
    const isOfWords = name.endsWith('lm_head.weight') || name.endsWith('model.embed_tokens.weight');
    return [name, { ...tensor, shape: [isOfWords ? size : rows, ...inner] }];
  });
  writeFileSync(
    join(checkpoint.path, 'model.safetensors'),
    seededSafetensors({ ...recipe, tensors: Object.fromEntries(tensors) }),
  );
  const vocab = Object.fromEntries(Array.from({ length: BYTES }, (_, byte) => [characterOf(byte), byte]));
  write('tokenizer.json', {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIALS.filter((content) => special(content) < size).map((content) => ({
      id: special(content),
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab,
      merges: [],
    },
  });
  write('tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: '<|im_start|>',
    eos_token: '<|im_end|>',
    chat_template: template,
  });
  return checkpoint;
}

/** The ids of something that a message shows. */
export const shownAs = (input: EncoderInput, kind: 'image' | 'video' = 'image'): number[] => [
  special('<|vision_start|>'),
  ...Array<number>(input.count).fill(special(`<|${kind}_pad|>`)),
  special('<|vision_end|>'),
];
