import type { RopeConfig } from '../../step-inputs/index.js';
import { HEADS, integer, listOf, oneOf, only, positive, SIZE } from './checks.js';
import { type Field, field, required } from './fields.js';
import { rotaryConfigByLayerType } from './rotary-config.js';

/** What a layer's queries attend to beside the last keys: nothing, all entries, or those that an indexer chooses. */
export type EntryUse = 'none' | 'all' | 'chosen';

type Layers = { readonly numHiddenLayers: number };
/** Of layers without entries, and of those with them. */
type EntryRopes = Readonly<Record<'main' | 'compress', RopeConfig>>;
type Head = { readonly headDim: number; readonly maxPositionEmbeddings: number };

/** The largest head that caches take, in eights. */
const rowSize = (name: string, fallback: number): Field<number> => ({
  read(json) {
    const found = json.value(name, integer(8, 576)) ?? fallback;
    if (found % 8 !== 0) json.problem(`${name} must be a multiple of 8, found ${found}`);
    return found;
  },
});

const TYPES = {
  sliding_attention: 'none',
  compressed_sparse_attention: 'chosen',
  heavily_compressed_attention: 'all',
} as const satisfies Record<string, EntryUse>;
type LayerType = keyof typeof TYPES;
const TYPE_NAMES = Object.keys(TYPES) as LayerType[];
const RATIOS: Readonly<Record<number, EntryUse>> = { 0: 'none', 4: 'chosen', 128: 'all' };

/** `layer_types`; or `compress_ratios`, which has entries for layers behind the last, too; or those of the class. */
const entryUses: Field<readonly EntryUse[], Layers> = {
  read(json, { numHiddenLayers: layers }) {
    const types = json.optional('layer_types', listOf(oneOf(...TYPE_NAMES), TYPE_NAMES.join(', ')));
    const ratios = json.optional('compress_ratios', listOf(integer(0, 128), '0, 4 and 128'));
    const byRatio = ratios?.map(
      (ratio) => RATIOS[ratio] ?? json.fail(`compress_ratios must be of 0, 4 and 128, found ${ratio}`),
    );
    const uses = types?.map((type) => TYPES[type]) ?? byRatio;
    if (uses && uses.length < layers) {
      const name = types ? 'layer_types' : 'compress_ratios';
      json.fail(`${name} must have an entry for each of the ${layers} layers, found ${uses.length}`);
    }
    return Array.from(
      { length: layers },
      (_, layer) => uses?.[layer] ?? (layer > 1 && layer % 2 === 1 ? 'chosen' : 'all'),
    );
  },
};

/** Tokens of an entry: `compress_rates` by types of layers, or keys of their own before transformers 5. */
const tokensPerEntry: Field<Readonly<Record<EntryUse, number>>> = {
  read(json) {
    const rates = json.section('compress_rates');
    const rate = (type: LayerType, key: string, least: number, fallback: number): number => {
      const kind = integer(least, 4096);
      return json.optional(key, kind) ?? rates?.optional(type, kind) ?? fallback;
    };
    return {
      none: 0,
      // What chooses keys of one token each takes them from a cache of tokens.
      chosen: rate('compressed_sparse_attention', 'compress_rate_csa', 2, 4),
      all: rate('heavily_compressed_attention', 'compress_rate_hca', 1, 128),
    };
  },
};

/** For each layer, whether a table names the experts of each token: `mlp_layer_types`, or the first `num_hash_layers`. */
export const hashLayers: Field<readonly boolean[], Layers> = {
  read(json, { numHiddenLayers: layers }) {
    const types = json.optional('mlp_layer_types', listOf(oneOf('hash_moe', 'moe'), '"hash_moe" and "moe"'));
    const first = json.value('num_hash_layers', integer(0, 1000)) ?? 3;
    if (types && types.length < layers)
      json.fail(`mlp_layer_types must have an entry for each of the ${layers} layers, found ${types.length}`);
    return Array.from({ length: layers }, (_, layer) =>
      types ? types[layer] === 'hash_moe' : layer < first,
    );
  },
};

/** Rotary embeddings of layers without entries and of those with them, of the numbers of a head that turn. */
const ropes: Field<EntryRopes, Head> = {
  read(json, config) {
    const turned = json.value('qk_rope_head_dim', SIZE);
    const factor = turned === undefined ? 1 / 8 : turned / config.headDim;
    const options = { factor, interleaved: true };
    const read = rotaryConfigByLayerType({
      main: { ...options, theta: 10_000, isScaled: false },
      compress: { ...options, theta: 160_000, thetaNames: 'compress_rope_theta', isScaled: true },
    }).read(json, config);
    // transformers stretches nothing but angles, unless the file says so (DeepseekV4Config).
    const stretch = json.section('rope_scaling')?.optional('attention_factor', positive(1e3)) ?? 1;
    const tailOf = (rope: RopeConfig): RopeConfig => {
      const { scaling } = rope;
      if (scaling.type !== 'yarn' && scaling.type !== 'default')
        json.problem(`rope_type must be default or yarn in this family, found ${scaling.type}`);
      const isStated = json.section('rope_parameters') !== undefined;
      const own = scaling.type === 'yarn' && !isStated ? { ...scaling, attentionFactor: stretch } : scaling;
      return { ...rope, headDim: rope.rotaryDim, scaling: own };
    };
    const { main, compress } = read;
    if (main.rotaryDim !== compress.rotaryDim)
      json.problem('rope_parameters must turn as many numbers of a head in main as in compress');
    return { main: tailOf(main), compress: tailOf(compress) };
  },
};

/** Of the heads that choose entries, as many numbers turn as of others. */
const indexHeadDim = (fallback: number): Field<number, { readonly rotaryDim: number }> => ({
  read(json, config) {
    const found = rowSize('index_head_dim', fallback).read(json, config);
    if (found < config.rotaryDim)
      json.problem(
        `index_head_dim must be at least the ${config.rotaryDim} numbers of a head that turn, found ${found}`,
      );
    return found;
  },
});

/** A property of the two rotary embeddings. */
const ofRopes = <T>(of: (ropes: EntryRopes) => T): Field<T, { readonly ropes: EntryRopes }> => ({
  read: (_, config) => of(config.ropes),
});

/** Groups of neighbouring heads, all of one size. */
const headGroups = (fallback: number): Field<number, { readonly numAttentionHeads: number }> => ({
  read(json, { numAttentionHeads: heads }) {
    const found = json.value('o_groups', HEADS) ?? fallback;
    if (heads % found !== 0) json.problem(`o_groups (${found}) must divide num_attention_heads (${heads})`);
    return found;
  },
});

/** The defaults that a family whose queries attend to entries must state. */
export interface EntryDefaults {
  readonly headDim: number;
  /** Numbers of the vectors that queries are made of, and that groups of heads become. */
  readonly rank: number;
  /** Of heads, whose results are projected apart. */
  readonly groups: number;
  readonly window: number;
  readonly indexHeads: number;
  readonly indexHeadDim: number;
  readonly indexTopK: number;
}

/** Attention to a window of keys and to entries of several tokens, what turns in it, and what chooses entries. */
export const entryAttention = (defaults: EntryDefaults) => ({
  numAttentionHeads: field('num_attention_heads', HEADS, required),
  numKeyValueHeads: field('num_key_value_heads', only(1), 1),
  headDim: rowSize('head_dim', defaults.headDim),
  qLoraRank: field('q_lora_rank', SIZE, defaults.rank),
  oGroups: headGroups(defaults.groups),
  oLoraRank: field('o_lora_rank', SIZE, defaults.rank),
  ropes,
  rope: ofRopes(({ main }) => main),
  compressRope: ofRopes(({ compress }) => compress),
  rotaryDim: ofRopes(({ main }) => main.rotaryDim),
  windowSize: field('sliding_window', SIZE, defaults.window),
  entryUses,
  tokensPerEntry,
  indexHeads: field('index_n_heads', HEADS, defaults.indexHeads),
  indexHeadDim: indexHeadDim(defaults.indexHeadDim),
  indexTopK: field('index_topk', SIZE, defaults.indexTopK),
});
