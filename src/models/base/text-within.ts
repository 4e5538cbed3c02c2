import { AtbError } from '../../errors.js';
import {
  type BaseConfig,
  type ConfigDict,
  type ConfigReader,
  type DecoderConfig,
  type Field,
  oneOf,
} from '../../layers/config/index.js';
import { getRouter, type HeadNames, type Router } from '../../router/index.js';
import { renamed, type Weights } from '../../weights/weights.js';
// A family is read when a config.json is called so; these are called by others, within which they stand.
import '../aria_text/index.js';
import '../cohere2/index.js';
import '../cohere2_moe/index.js';
import '../deepseek/index.js';
import '../deepseek_v3/index.js';
import '../exaone4/index.js';
import '../gemma/index.js';
import '../gemma2/index.js';
import '../gemma3_text/index.js';
import '../granite/index.js';
import '../hyperclovax/index.js';
import '../internlm2/index.js';
import '../lfm2/index.js';
import '../lfm3/index.js';
import '../llama/index.js';
import '../llama4_text/index.js';
import '../minimax_m3_vl_text/index.js';
import '../ministral3/index.js';
import '../mistral/index.js';
import '../mistral4/index.js';
import '../nemotron_h/index.js';
import '../opt/index.js';
import '../persimmon/index.js';
import '../qwen2/index.js';
import '../qwen3/index.js';
import '../qwen3_5_text/index.js';
import '../step3p5/index.js';

/**
 * Families of text that may stand in a checkpoint beside an encoder. What is done to logits, the class of the whole
 * says, as in transformers 5.24: most leave them as a head gives them, also where that of the text alone would not.
 */
const TEXT_KINDS = [
  'aria_text',
  'cohere2',
  'cohere2_moe',
  'deepseek',
  'deepseek_v3',
  'exaone4',
  'gemma',
  'gemma2',
  'gemma3_text',
  'granite',
  'granite_docling_text',
  'hyperclovax',
  'internlm2',
  'kimi_k2',
  'lfm2',
  'lfm3',
  'llama',
  'llama4_text',
  'minimax_m3_vl_text',
  'ministral3',
  'mistral',
  'mistral4',
  'nemotron_h',
  'opt',
  'persimmon',
  'qwen2',
  'qwen3',
  'qwen3_5_moe_text',
  'qwen3_5_text',
  'step3p5',
] as const;
export type TextKind = (typeof TEXT_KINDS)[number];

/** What files of some models call a family, the first ones or those of a model with layers of its own between. */
const OLDER_NAMES: Readonly<Record<string, TextKind>> = {
  deepseek_ocr2_text: 'deepseek',
  exaone4_5_text: 'exaone4',
  granite4_vision_text: 'granite',
  mllama_text_model: 'llama',
  voxtral_realtime_text: 'mistral',
};

/** The configuration of a model that has one of text within it. */
export interface TextWithin extends DecoderConfig {
  readonly textKind: TextKind;
}

/** The router of a family, for what it knows of all its models, or of those with this config.json. */
export const textRouter = (kind: TextKind, dict: ConfigDict = { model_type: kind }): Router =>
  new (getRouter(kind))('', dict);

/** What a class has for text of its `model_type`, whose files say only in what they differ. */
export type TextDefaults = ConfigDict & { readonly model_type: TextKind };

/**
 * What the family that an object of config.json names reads of it. `all`: what files may leave out, by kinds of text;
 * the first of them is the kind of those that do not name theirs.
 */
export const textWithin = (section: string, ...all: readonly TextDefaults[]): Field<TextWithin> =>
  textWithout([], section, ...all);

/** The same without those keys of the object that the whole reads by itself. */
export const textWithout = (
  keys: readonly string[],
  section: string,
  ...all: readonly TextDefaults[]
): Field<TextWithin> => ({
  read(json) {
    const within = json.section(section) ?? json.missing(section);
    const older = OLDER_NAMES[`${within.raw('model_type')}`];
    const named = older ?? within.value('model_type', oneOf(...TEXT_KINDS));
    const textKind = named ?? all[0]?.model_type ?? within.missing('model_type');
    for (const key of Object.keys(within.dict)) within.raw(key);
    const defaults: ConfigDict = all.find(({ model_type }) => model_type === textKind) ?? {};
    // Null stands for a default, and so for these where they are.
    const said = Object.entries(within.dict).filter(
      ([key, value]) => !keys.includes(key) && (value !== null || !(key in defaults)),
    );
    const dict = { ...defaults, ...Object.fromEntries(said) };
    const config = readText(textKind, dict, within);
    const unreadKeys = config.unreadKeys.map(({ key, value }) => ({ key: within.path(key), value }));
    return { ...config, textKind, unreadKeys };
  },
});

/**
 * The same of files that have the text's keys among those of the whole, `isOther` being those that are about something
 * else.
 */
export const textAmong = (kind: TextKind, isOther: (key: string) => boolean): Field<TextWithin> => ({
  read(json) {
    const own = Object.entries(json.dict).filter(([key]) => !isOther(key));
    for (const [key] of own) json.raw(key);
    return { ...readText(kind, Object.fromEntries(own), json), textKind: kind };
  },
});

/** What the family finds wrong is wrong with the object. */
function readText(kind: TextKind, dict: ConfigDict, within: ConfigReader): DecoderConfig {
  try {
    return textRouter(kind, { ...dict, model_type: kind }).config as DecoderConfig;
  } catch (error) {
    if (!(error instanceof AtbError) || error.code !== 'CONFIG_INVALID') throw error;
    const { problems } = error.detail as { readonly problems: readonly string[] };
    for (const problem of problems.slice(1)) within.problem(problem);
    return within.fail(problems[0] ?? 'cannot be read');
  }
}

/** What a definition reads, with the model of text as the whole of which it is about. */
export const aroundText = <C extends Pick<BaseConfig, 'dtype' | 'unreadKeys'>>(definition: {
  read(dict: ConfigDict): C & { readonly text: TextWithin };
}) => ({
  read(dict: ConfigDict) {
    const { text, ...own } = definition.read(dict);
    const unreadKeys = [...own.unreadKeys, ...text.unreadKeys];
    return { ...text, ...own, dtype: own.dtype ?? text.dtype, unreadKeys };
  },
});

/**
 * Weights of a checkpoint that has the layers of text at `root` and the head beside the rest, by the names of a model of
 * text alone, which has its layers in a part of their own.
 */
export const besideHead = (weights: Weights, root: string): Weights =>
  weights.mapped((source) =>
    renamed(source, (name) =>
      name.replace(`${root}.model.`, `${root}.`).replace(`${root}.lm_head`, 'lm_head'),
    ),
  );

/** What a checkpoint calls embedding and head of a model of text whose names all begin with `root`, or with nothing. */
export function headNamesWithin(kind: TextKind, root: string): HeadNames {
  const { embedding, head } = textRouter(kind).headNames;
  if (root === '') return { embedding, head };
  return { embedding: `${root}.${embedding}`, head: `${root}.${head}` };
}
