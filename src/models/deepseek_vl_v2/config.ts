import {
  type ConfigDict,
  defineConfig,
  encoderHeads,
  type Field,
  field,
  flag,
  integer,
  keysBecause,
  listOf,
  nested,
  only,
  required,
  text,
  tokenField,
  WIDTH,
} from '../../layers/config/index.js';
import { aroundText, textWithin } from '../base/text-within.js';

const COUNT = integer(1, 10_000);

/** Sizes of DeepSeek-OCR's text, which its files repeat beside `language_config`. */
const TEXT_KEYS = [
  ...[
    'bos_token_id',
    'eos_token_id',
    'first_k_dense_replace',
    'hidden_size',
    'intermediate_size',
    'vocab_size',
  ],
  ...['kv_lora_rank', 'q_lora_rank', 'qk_nope_head_dim', 'qk_rope_head_dim', 'v_head_dim', 'use_mla'],
  ...[
    'lm_head',
    'rm_head',
    'max_position_embeddings',
    'moe_intermediate_size',
    'n_group',
    'n_routed_experts',
  ],
  ...['n_shared_experts', 'num_attention_heads', 'num_experts_per_tok', 'num_hidden_layers', 'topk_group'],
  ...['num_key_value_heads', 'topk_method'],
];

/** How wide rows are behind the first of two convolutions; behind the second they are what the next encoder reads. */
const middle: Field<number> = {
  read: (json) => json.value('downsample_channels', listOf(WIDTH, 'widths'))?.[0] ?? 512,
};

const SAM = nested('sam_vit_b', {
  hiddenSize: field('width', WIDTH, 768),
  numLayers: field('layers', COUNT, 12),
  numHeads: encoderHeads('heads', 12, { width: 'width' }),
  wholeLayers: field('global_attn_indexes', listOf(integer(0, 10_000), 'layers'), [2, 5, 8, 11]),
  middle,
});

/** What all of SAM's encoders are in the published code (`build_sam_vit_b`), whatever config.json says. */
const samOf = (said: ReturnType<typeof SAM.read>, imageSize: number, outSize: number) => ({
  ...said,
  ...{ imageSize, patchSize: 16, outSize: 256, windowSize: 14, epsilon: 1e-6, hiddenAct: 'gelu' as const },
  ...{ intermediateSize: 4 * said.hiddenSize, qkvBias: true, reduced: [said.middle, outSize] as const },
  ...({ channels: 3, hasPositions: true, hasDistances: true } as const),
});

/** A configuration around an encoder behind SAM's, which `width` of vision_config describes. */
const published = <E>(encoder: Field<E>) =>
  defineConfig({
    fields: {
      text: textWithin('language_config', { model_type: 'deepseek' }),
      modelType: field('model_type', text, required),
      dtype: { read: () => undefined } satisfies Field<undefined>,
      tieWordEmbeddings: field('tie_word_embeddings', flag, false),
      imageTokenId: tokenField('image_token_id', 128_815),
      tileTag: field('tile_tag', only('2D'), '2D'),
      projector: nested('projector_config', { type: field('projector_type', only('linear'), 'linear') }, [
        ...['input_dim', 'n_embed'],
      ]),
      seen: nested(
        'vision_config',
        { imageSize: field('image_size', COUNT, 1024), width: nested('width', { sam: SAM, encoder }) },
        ['mlp_ratio', 'model_name'],
      ),
    },
    irrelevant: {
      ...keysBecause('repeats language_config', ...TEXT_KEYS),
      ...keysBecause('is read nowhere in the published code', 'candidate_resolutions', 'global_view_pos'),
    },
  });

const OCR = published(
  nested('clip-l-14-224', {
    hiddenSize: field('width', WIDTH, 1024),
    numLayers: field('layers', COUNT, 24),
    numHeads: encoderHeads('heads', 16, { width: 'width' }),
    imageSize: field('image_size', COUNT, 224),
    patchSize: field('patch_size', COUNT, 14),
  }),
);
const OCR2 = published(nested('qwen2-0-5b', { hiddenSize: field('dim', WIDTH, 896) }));

/** Whether it is the second DeepSeek-OCR, which calls its encoder of queries so. */
export const isSecond = ({ vision_config: seen }: ConfigDict): boolean =>
  JSON.stringify(seen ?? {}).includes('"qwen2-0-5b":');

/** DeepSeek-OCR as it is published. */
const FIRST = aroundText({
  read(dict: ConfigDict) {
    const { seen, projector: _, ...config } = OCR.read(dict);
    const { sam, encoder: clip } = seen.width;
    return { ...config, vision: { sam: samOf(sam, seen.imageSize, clip.hiddenSize), clip } };
  },
});
export type DeepseekOcrConfig = ReturnType<(typeof FIRST)['read']>;

/** The second, whose encoder of queries is Qwen2-0.5B's layers in the published code. */
const SECOND = aroundText({
  read(dict: ConfigDict) {
    const { seen, projector: _, ...config } = OCR2.read(dict);
    const { sam, encoder } = seen.width;
    const queries = {
      ...{ ...encoder, intermediateSize: 4864, numLayers: 24, numHeads: 14, numKeyValueHeads: 2 },
      ...({ hiddenAct: 'silu', epsilon: 1e-6, theta: 1_000_000, slides: false } as const),
    };
    return { ...config, vision: { sam: samOf(sam, seen.imageSize, encoder.hiddenSize), queries } };
  },
});
export type DeepseekOcr2PublishedConfig = ReturnType<(typeof SECOND)['read']>;

/** Either, as config.json says. */
export const DEEPSEEK_VL_V2_CONFIG = {
  read: (dict: ConfigDict): DeepseekOcrConfig | DeepseekOcr2PublishedConfig =>
    isSecond(dict) ? SECOND.read(dict) : FIRST.read(dict),
};
