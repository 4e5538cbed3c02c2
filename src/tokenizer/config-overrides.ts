import { isObject } from '../is-object.js';
import { classNameOf } from './tokenizer-class.js';
import type { TokenizerJson } from './tokenizer-json.js';

type Step = Readonly<Record<string, unknown>>;
type Part = TokenizerJson['decoder'];

/** Classes that take tokenizer.json as it is. */
const PLAIN_CLASSES: ReadonlySet<string> = new Set(['', 'PreTrainedTokenizer', 'TokenizersBackend']);
/** Classes that cut words before they make bytes of them. */
const CUTTING_CLASSES: ReadonlySet<string> = new Set([
  'Qwen2Tokenizer',
  'Qwen3_5Tokenizer',
  'CohereTokenizer',
]);
/** Classes of bytes that put a blank before a text, or none, as they are told. Classes of no name here do neither. */
const BLANK_CLASSES: ReadonlySet<string> = new Set([
  ...CUTTING_CLASSES,
  ...['BartTokenizer', 'BlenderbotTokenizer', 'CodeGenTokenizer', 'DebertaTokenizer', 'GPT2Tokenizer'],
  ...['GPTNeoXTokenizer', 'LEDTokenizer', 'LongformerTokenizer', 'LukeTokenizer', 'RobertaTokenizer'],
  'WhisperTokenizer',
]);
const LLAMA_CLASSES: ReadonlySet<string> = new Set(['LlamaTokenizer', 'CodeLlamaTokenizer']);

/** Keys of BERT's tokenizer_config.json, and the fields of its normaliser that they are. */
const BERT_KEYS = [
  ['do_lower_case', 'lowercase'],
  ['strip_accents', 'strip_accents'],
  ['tokenize_chinese_chars', 'handle_chinese_chars'],
] as const;

/**
 * tokenizer.json with what tokenizer_config.json says otherwise, as the Python class that it names makes its tokenizer
 * (transformers 4 and 5 alike): BERT's flags, and whether a blank is put before a text. What it does not say stays.
 */
export function withOverrides(json: TokenizerJson, config: Step): TokenizerJson {
  const { add_prefix_space: addsBlank } = config;
  if (PLAIN_CLASSES.has(classNameOf(config))) return json;
  const normalizer = bertNormalizer(json.normalizer, config);
  if (typeof addsBlank !== 'boolean') return { ...json, normalizer };
  const { pre_tokenizer: cuts, decoder } = json;
  const isOfBytes = cuts?.type === 'ByteLevel';
  if (isOfBytes && !BLANK_CLASSES.has(classNameOf(config))) return { ...json, normalizer };
  if (isOfBytes || CUTTING_CLASSES.has(classNameOf(config)))
    return {
      ...json,
      normalizer,
      pre_tokenizer: changed(cuts, 'ByteLevel', { add_prefix_space: addsBlank }),
    };
  if (classNameOf(config) === 'XLMRobertaTokenizer')
    return {
      ...json,
      normalizer,
      pre_tokenizer: marked(cuts, addsBlank),
      decoder: marked(decoder, addsBlank),
    };
  return addsNoMark(config) ? withoutMark({ ...json, normalizer }) : { ...json, normalizer };
}

/** Whether a Llama's texts begin without the mark of a blank. */
export const addsNoMark = (config: Step): boolean =>
  LLAMA_CLASSES.has(classNameOf(config)) && config.add_prefix_space === false;

function bertNormalizer(normalizer: TokenizerJson['normalizer'], config: Step): TokenizerJson['normalizer'] {
  if (normalizer?.type !== 'BertNormalizer') return normalizer;
  const said = BERT_KEYS.flatMap(([key, field]) => {
    const value = config[key];
    const isSaid = typeof value === 'boolean' || (value === null && key === 'strip_accents');
    return isSaid ? [[field, value] as const] : [];
  });
  return { ...normalizer, ...Object.fromEntries(said) };
}

/** Llama's without the mark that stands for a blank before a text, and without dropping one of a decoded text. */
function withoutMark(json: TokenizerJson): TokenizerJson {
  const isKept = ({ type }: Step): boolean => type !== 'Prepend';
  return {
    ...json,
    normalizer: steps(json.normalizer, 'normalizers', isKept),
    pre_tokenizer: marked(json.pre_tokenizer, false),
    decoder: marked(
      steps(json.decoder, 'decoders', ({ type, stop }) => type !== 'Strip' || stop !== 0),
      false,
    ),
  };
}

/** A step, or those of a sequence, with other fields where it is of a type. */
function changed(step: Part, type: string, fields: Step): Part {
  if (step?.type === type) return { ...step, ...fields };
  if (step === null || !Array.isArray(step.pretokenizers)) return step;
  const inner = step.pretokenizers.map((each: unknown) =>
    isObject(each) ? changed({ ...each }, type, fields) : each,
  );
  return { ...step, pretokenizers: inner };
}

/** Puts a mark before every text, or before none. */
const marked = (step: Part, isMarked: boolean): Part =>
  changed(step, 'Metaspace', { add_prefix_space: isMarked, prepend_scheme: isMarked ? 'always' : 'never' });

/** The steps of a part that are kept, of a sequence or a single one. */
function steps(
  part: Record<string, unknown> | null,
  list: 'normalizers' | 'decoders',
  isKept: (step: Step) => boolean,
): Record<string, unknown> | null {
  if (part === null) return null;
  const inner = part[list];
  if (!Array.isArray(inner)) return isKept(part) ? part : null;
  return { ...part, [list]: inner.filter((step: unknown) => isObject(step) && isKept(step)) };
}
