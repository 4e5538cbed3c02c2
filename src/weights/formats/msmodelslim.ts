import { AtbError } from '../../errors.js';
import { integerRows } from '../integer-rows.js';
import { JsonScanner } from '../json-scanner.js';
import {
  integerForm,
  QUANT_DESCS,
  type QuantDesc,
  SMOOTHING_BIAS,
  type StaticInput,
} from '../quantization.js';
import { MAX_TENSORS } from '../safetensors-header.js';
import { readDescriptionFile } from './description-file.js';
import { FLOAT_CACHE, type FormatSource, type OpenFormat, type QuantFormat } from './format.js';
import { isZero, linearsWith } from './small-tensors.js';
import { readStaticInput, STATIC_SPARE, staticRows } from './static-inputs.js';
import { W4A8, W4A8_SPARE, w4a8Linear } from './w4a8.js';

/** MindIE's name of the file that says how each tensor of a quantised checkpoint is stored. */
export const QUANT_DESCRIPTION_FILE = 'quant_model_description.json';
export const MODEL_TYPE_KEY = 'model_quant_type';
export const GROUP_SIZE_KEY = 'group_size';
export const FLOAT_TYPE = 'FLOAT';

/** The types take one level; other tools put nested objects beside them. */
const MAX_DEPTH = 8;
const KNOWN: readonly string[] = [...QUANT_DESCS, FLOAT_TYPE];

/**
 * Checkpoints with a `quant_model_description.json`, as MindIE's msmodelslim writes them and `atb-models quantize` does: it
 * names a type for each tensor, and the tensors have the names and shapes that `integerRows` reads, or `staticRows` of W8A8.
 */
export const msmodelslim: QuantFormat = { methods: [], open };

/** Throws WEIGHT_FILE_* and WEIGHT_QUANT_DESCRIPTION. */
async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const description = await readDescriptionFile(source, QUANT_DESCRIPTION_FILE);
  if (description === undefined) return undefined;
  const { file, stamp, bytes } = description;
  const { types, groupSize } = parse(file, bytes);
  const shifted = await shiftedLinears(source, types);
  const inputs = await staticInputs(source, file, types);
  const quantOf: OpenFormat['quantOf'] = (stored) => {
    const linear = stored.name;
    const name = `${linear}.weight`;
    const found = types.get(name) ?? FLOAT_TYPE;
    if (!KNOWN.includes(found)) {
      throw new AtbError('WEIGHT_QUANT_TYPE', { file, name, found, supported: KNOWN });
    }
    if (found === FLOAT_TYPE) return undefined;
    const w4a8 = found === W4A8 ? w4a8Linear(stored, groupSize ?? 0) : undefined;
    if (w4a8) return w4a8;
    if (found === 'W8A8')
      return { desc: found, groupSize: 0, input: inputs.get(linear) ?? UNREAD_INPUT, rows: staticRows };
    const hasGroups = integerForm({ desc: found as QuantDesc, groupSize: 0 }).bits === 4;
    if (hasGroups && groupSize === undefined) {
      throw new AtbError('WEIGHT_QUANT_DESCRIPTION', {
        file,
        field: GROUP_SIZE_KEY,
        expected: `given beside ${found}`,
        found: 'nothing',
      });
    }
    const form = { desc: found as QuantDesc, groupSize: hasGroups ? (groupSize ?? 0) : 0 };
    return { ...form, rows: integerRows({ ...form, hasOffset: shifted.has(linear) }) };
  };
  // The checkpoint as a whole has a type, too; single tensors may be of others.
  const method = types.get(MODEL_TYPE_KEY) ?? QUANT_DESCRIPTION_FILE;
  const norms = smoothedNorms(source, types);
  const hasW4A8 = [...types.values()].includes(W4A8);
  const hasScales = [...(source.tensors?.keys() ?? [])].some((name) => CACHE_SPARE.test(name));
  return {
    method,
    file,
    stamps: [stamp],
    notes: hasScales ? [FLOAT_CACHE] : [],
    quantOf,
    otherNames: norms,
    isSpare: (tensor) =>
      CACHE_SPARE.test(tensor) ||
      SMOOTHED.test(tensor) ||
      (hasW4A8 && W4A8_SPARE.test(tensor)) ||
      norms.has(tensor) ||
      (STATIC_SPARE.test(tensor) && inputs.has(tensor.replace(STATIC_SPARE, ''))),
  };
}

/** What smoothing made of a norm, for the integers behind it. */
const SMOOTHED = /\.module\.(weight|bias)$/;
/** The part of a layer that a norm stands before. */
const BEHIND: Readonly<Record<string, string>> = {
  input_layernorm: 'self_attn.',
  post_attention_layernorm: 'mlp.',
};

/**
 * Norms that smoothing changed (anti-outlier): `norm.module.weight` and `norm.module.bias` lie beside the norm as it was, and
 * are meant where linears behind it are integers; or `norm.bias` lies beside a norm that has none in other files.
 */
function smoothedNorms(
  source: FormatSource,
  types: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const quantised = [...types].flatMap(([name, type]) =>
    name.endsWith('.weight') && type !== FLOAT_TYPE ? [name] : [],
  );
  const names = new Map<string, string>();
  for (const norm of linearsWith(source, 'bias'))
    if (norm.endsWith('norm')) names.set(`${norm}.${SMOOTHING_BIAS}`, `${norm}.bias`);
  for (const norm of linearsWith(source, 'module.weight')) {
    const at = norm.lastIndexOf('.') + 1;
    const behind = norm.slice(0, at) + (BEHIND[norm.slice(at)] ?? '');
    if (!quantised.some((name) => name.startsWith(behind))) continue;
    names.set(`${norm}.weight`, `${norm}.module.weight`);
    if (source.tensors?.has(`${norm}.module.bias`))
      names.set(`${norm}.${SMOOTHING_BIAS}`, `${norm}.module.bias`);
  }
  return names;
}

/** Scales by which MindIE makes int8 of a KV cache. */
const CACHE_SPARE = /\.kv_cache_(scale|offset)$/;
/** What nobody reads who looks at the description alone. */
const UNREAD_INPUT: StaticInput = { scale: 1, offset: 0 };

/** How the inputs of W8A8 become int8, linear by linear. Throws WEIGHT_QUANT_CONTRADICTION, WEIGHT_NOT_FOUND. */
async function staticInputs(
  source: FormatSource,
  file: string,
  types: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, StaticInput>> {
  const inputs = new Map<string, StaticInput>();
  for (const linear of linearsWith(source, 'weight')) {
    if (types.get(`${linear}.weight`) === 'W8A8')
      inputs.set(linear, await readStaticInput(source, linear, { file, says: `"${linear}.weight" W8A8` }));
  }
  return inputs;
}

/** The linears whose integers are not symmetric: other tools write offsets beside symmetric ones, too, which are zero. */
async function shiftedLinears(
  source: FormatSource,
  types: ReadonlyMap<string, string>,
): Promise<ReadonlySet<string>> {
  const shifted = new Set<string>();
  for (const linear of linearsWith(source, 'weight_offset')) {
    const isWeightOnly = types.get(`${linear}.weight`)?.endsWith('A16') ?? false;
    if (isWeightOnly && !(await isZero(source, `${linear}.weight_offset`))) shifted.add(linear);
  }
  return shifted;
}

function parse(
  file: string,
  bytes: Buffer,
): { readonly types: ReadonlyMap<string, string>; readonly groupSize: number | undefined } {
  const scanner = new JsonScanner(file, bytes, 0, { depth: MAX_DEPTH, entries: MAX_TENSORS });
  const types = new Map<string, string>();
  let groupSize: number | undefined;
  if (scanner.kind() !== 'object') {
    throw new AtbError('WEIGHT_QUANT_DESCRIPTION', {
      file,
      field: 'description',
      expected: 'an object',
      found: scanner.skip(),
    });
  }
  scanner.object((key) => {
    const kind = scanner.kind();
    if (key === GROUP_SIZE_KEY && kind === 'number') {
      const found = scanner.integer();
      if (typeof found !== 'number' || found > 1 << 20) {
        const expected = 'an integer from 0 to 2^20';
        throw new AtbError('WEIGHT_QUANT_DESCRIPTION', { file, field: key, expected, found: String(found) });
      }
      // 0 is how other tools say that there are no groups.
      groupSize = found === 0 ? undefined : found;
    } else if (kind === 'string') {
      types.set(key, scanner.string());
    } else {
      scanner.skip();
    }
  });
  scanner.finish();
  return { types, groupSize };
}
