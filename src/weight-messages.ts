import { describeValue } from './describe-value.js';

/** The first of many names. */
const shownNames = (names: readonly string[]): string =>
  `${names.slice(0, 5).map(describeValue).join(', ')}${names.length > 5 ? ', …' : ''}`;

/** What `errors.ts` says of weights and their files. */
export const WEIGHT_MESSAGES = {
  WEIGHT_NOT_FOUND: (d: {
    name: string;
    expected?: readonly number[] | undefined;
    where?: string | undefined;
    nearest?: string | undefined;
    remedy?: string | undefined;
  }) =>
    `weight "${d.name}"${d.expected ? ` of shape [${d.expected}]` : ''} is not in ${d.where ?? 'the checkpoint'}${d.nearest ? `; nearest: ${describeValue(d.nearest)}` : ''}${d.remedy ? `; ${d.remedy}` : ''}`,
  WEIGHT_SHAPE_MISMATCH: (d: { name: string; expected: readonly number[]; found: readonly number[] }) =>
    `weight "${d.name}" must be [${d.expected}], found [${d.found}]; config.json and the files must be of one checkpoint`,
  WEIGHT_DTYPE_UNSUPPORTED: (d: {
    name: string;
    file: string;
    found: string;
    supported: readonly string[];
  }) =>
    `weight "${d.name}" in ${d.file} has dtype ${d.found}, which the engine does not read; it reads ${d.supported.join(', ')}`,
  // Weight files: `file` is a path; names out of a file are shown escaped and cut, `found` is so rendered already.
  WEIGHT_CHANGE_INVALID: (d: { name: string; change: string; expected: string; found: unknown }) =>
    `${d.change} of weight "${d.name}" wants ${d.expected}, found ${describeValue(d.found)}`,
  WEIGHT_NAME_TWICE: (d: { name: string }) =>
    `two different weights are named "${d.name}"; give one of them another name, with named(weight, …) or Linear.load's name`,
  WEIGHT_FILE_UNREADABLE: (d: { file: string; reason: string }) => `${d.file} cannot be read: ${d.reason}`,
  WEIGHT_FILE_NOT_REGULAR: (d: { file: string; found: string }) =>
    `${d.file} must be a regular file, found ${d.found}`,
  WEIGHT_FILE_LINK_REFUSED: (d: { file: string; target: string; root: string }) =>
    `${d.file} is a link to ${d.target}, which is neither below ${d.root} nor in a Hugging Face cache; copy the file there, or allow links with --allow_links (allowLinks: true)`,
  WEIGHT_FILE_STAND_IN: (d: { file: string; target: string; remedy: string }) =>
    `${d.file} holds only the path ${describeValue(d.target)}, not the file itself; ${d.remedy}`,
  WEIGHT_FILE_LFS_POINTER: (d: { file: string; missingBytes?: number | undefined }) =>
    `${d.file} is a Git-LFS pointer, not the file itself${d.missingBytes === undefined ? '' : ` (${d.missingBytes} bytes)`}; run \`git lfs pull\` in its folder`,
  WEIGHT_FILE_CHANGED: (d: { file: string; reason: string }) =>
    `${d.file} changed after it was opened: ${d.reason}; load the model again`,
  WEIGHT_FILE_TRUNCATED: (d: {
    file: string;
    what: string;
    tensor?: string;
    expectedBytes: number;
    foundBytes: number;
  }) =>
    `${d.file} is truncated: its ${d.what}${d.tensor === undefined ? '' : ` ${describeValue(d.tensor)}`} ends at byte ${d.expectedBytes}, the file has ${d.foundBytes}`,
  WEIGHT_FILE_TRAILING_BYTES: (d: { file: string; expectedBytes: number; foundBytes: number }) =>
    `${d.file} has bytes that belong to no tensor: its tensors end at byte ${d.expectedBytes}, the file has ${d.foundBytes}`,
  WEIGHT_FILE_HEADER_LENGTH: (d: { file: string; found: string; limitBytes: number; starts: string }) =>
    `${d.file} is not a safetensors file: its header must have 2 to ${d.limitBytes} bytes, found ${d.found} (the file starts with ${describeValue(d.starts)})`,
  WEIGHT_FILE_GGUF: (d: { file: string; problem: string }) => `${d.file}: as a GGUF file, ${d.problem}`,
  WEIGHT_FILE_JSON: (d: { file: string; byte: number; expected: string; found: string }) =>
    `${d.file}: malformed JSON at byte ${d.byte}: expected ${d.expected}, found ${d.found}`,
  WEIGHT_FILE_UTF8: (d: { file: string; byte: number }) =>
    `${d.file}: the string at byte ${d.byte} is not well-formed UTF-8`,
  WEIGHT_FILE_DUPLICATE_KEY: (d: { file: string; key: string }) =>
    `${d.file}: the key ${describeValue(d.key)} occurs twice in one object`,
  WEIGHT_FILE_TOO_DEEP: (d: { file: string; limit: number }) =>
    `${d.file}: JSON nested more than ${d.limit} levels deep`,
  WEIGHT_FILE_TOO_MANY: (d: { file: string; limit: number }) => `${d.file}: more than ${d.limit} entries`,
  WEIGHT_FILE_METADATA: (d: { file: string; key?: string; expected: string; found: string }) =>
    `${d.file}: __metadata__${d.key === undefined ? '' : `[${describeValue(d.key)}]`} must be ${d.expected}, found ${d.found}`,
  WEIGHT_FILE_ENTRY: (d: { file: string; tensor: string; field: string; expected: string; found: string }) =>
    `${d.file}: tensor ${describeValue(d.tensor)}: ${describeValue(d.field)} must be ${d.expected}, found ${d.found}`,
  WEIGHT_FILE_DTYPE: (d: { file: string; tensor: string; found: string; known: readonly string[] }) =>
    `${d.file}: tensor ${describeValue(d.tensor)} has the unknown dtype ${describeValue(d.found)}; known: ${d.known.join(', ')}`,
  WEIGHT_FILE_SHAPE: (d: {
    file: string;
    tensor: string;
    dtype: string;
    shape: readonly number[];
    problem: string;
  }) =>
    `${d.file}: tensor ${describeValue(d.tensor)} of dtype ${d.dtype} and shape [${d.shape}] ${d.problem}`,
  WEIGHT_FILE_SIZE_MISMATCH: (d: {
    file: string;
    tensor: string;
    dtype: string;
    shape: readonly number[];
    expectedBytes: number;
    foundBytes: number;
  }) =>
    `${d.file}: tensor ${describeValue(d.tensor)} of dtype ${d.dtype} and shape [${d.shape}] takes ${d.expectedBytes} bytes, its offsets span ${d.foundBytes}`,
  WEIGHT_FILE_HOLE: (d: { file: string; tensor: string; expectedOffset: number; foundOffset: number }) =>
    `${d.file}: tensor ${describeValue(d.tensor)} leaves a hole before it: it must start at data offset ${d.expectedOffset}, found ${d.foundOffset}`,
  WEIGHT_FILE_OVERLAP: (d: { file: string; tensor: string; expectedOffset: number; foundOffset: number }) =>
    `${d.file}: tensor ${describeValue(d.tensor)} overlaps another: it must start at data offset ${d.expectedOffset}, found ${d.foundOffset}`,
  WEIGHT_INDEX_INVALID: (d: { file: string; field: string; expected: string; found: string }) =>
    `${d.file}: ${describeValue(d.field)} must be ${d.expected}, found ${d.found}`,
  WEIGHT_INDEX_TOO_LARGE: (d: { file: string; limitBytes: number; foundBytes: number }) =>
    `${d.file} must have at most ${d.limitBytes} bytes, found ${d.foundBytes}`,
  WEIGHT_INDEX_PATH: (d: { file: string; tensor: string; found: string }) =>
    `${d.file}: tensor ${describeValue(d.tensor)} must be in a .safetensors file beside the index, found ${describeValue(d.found)}`,
  WEIGHT_SHARD_MISSING: (d: { file: string; shard: string; tensors: number }) =>
    `${d.file} places ${d.tensors} tensors in ${describeValue(d.shard)}, which is not there; download it too`,
  WEIGHT_SHARD_LACKS_TENSOR: (d: { file: string; shard: string; tensor: string }) =>
    `${d.file} places tensor ${describeValue(d.tensor)} in ${describeValue(d.shard)}, which does not hold it; download both again`,
  WEIGHT_SHARD_TENSOR_TWICE: (d: { file: string; tensor: string; shards: readonly string[] }) =>
    `tensor ${describeValue(d.tensor)} is in several files of ${d.file}, of which the index names none: ${d.shards.map(describeValue).join(', ')}`,
  WEIGHT_CHECKPOINT_MISSING: (d: { directory: string; found: string }) =>
    `${d.directory} must hold model.safetensors or model.safetensors.index.json, found ${d.found}`,
  WEIGHT_CHECKPOINT_FORMAT: (d: { directory: string; found: string; remedy: string }) =>
    `${d.directory} holds neither model.safetensors nor its index, but ${describeValue(d.found)}: ${d.remedy}`,
  WEIGHT_QUANT_SHAPE: (d: { name: string; inFeatures: number; bits: number }) =>
    `weight "${d.name}" has ${d.inFeatures} input channels of ${d.bits} bits, which do not fill whole bytes`,
  WEIGHT_QUANT_MIXED: (d: { name: string; found: readonly string[] }) =>
    `the parts of "${d.name}" are stored in different ways, so they cannot be one matrix: ${d.found.join(', ')}`,
  WEIGHT_QUANT_TYPE: (d: { file: string; name: string; found: string; supported: readonly string[] }) =>
    `${d.file}: the type of "${d.name}" must be one of ${d.supported.join(', ')}, found ${describeValue(d.found)}`,
  WEIGHT_QUANT_DESCRIPTION: (d: { file: string; field: string; expected: string; found: string }) =>
    `${d.file}: ${describeValue(d.field)} must be ${d.expected}, found ${d.found}`,
  WEIGHT_QUANT_CONTRADICTION: (d: { file: string; says: string; name: string; found: string }) =>
    `${d.file} says ${d.says}, but ${describeValue(d.name)} in the files ${d.found}`,
  WEIGHT_QUANT_EXPORT: (d: { name: string }) =>
    `weight "${d.name}" is packed as another tool packs it, which the exported programs do not read; export the float checkpoint that it was made of, or one that \`atb-models quantize\` wrote`,
  WEIGHT_QUANT_EXPERTS: (d: { name: string; found: string }) =>
    `the expert "${d.name}" has ${d.found}, which the products of experts do not read; take the float checkpoint that it was made of, or one of weight-only integers`,
  WEIGHT_QUANT_OFFSET: (d: { name: string; file: string }) =>
    `weight "${d.name}" in ${d.file} has offsets that are not zero; only symmetric integers are supported`,
  WEIGHT_QUANT_AGAIN: (d: { file: string; found: string }) =>
    `the weights are integers already (${d.file} says ${describeValue(d.found)}): quantize a float checkpoint, or load this one as it is`,
  WEIGHT_UNREAD: (d: { directory: string; modelClass: string; tensors: readonly string[] }) =>
    `${d.modelClass} does not read ${d.tensors.length} tensors of ${d.directory} that belong to what it reads: ${shownNames(d.tensors)}; its answers would be wrong. Read them in the model class, or allow it (--allow_unread)`,
  WEIGHT_ADAPTER_UNSUPPORTED: (d: { file: string; tensors: readonly string[] }) =>
    `${d.file} holds ${d.tensors.length} tensors that are no products of LoRA (lora_A, lora_B): ${shownNames(d.tensors)}; merge the adapter into its model with \`merge_and_unload()\` of peft, and give the result`,
  WEIGHT_ADAPTER_UNREAD: (d: { adapter: string; tensors: readonly string[] }) =>
    `the adapter ${describeValue(d.adapter)} has ${d.tensors.length} tensors of modules that no adapter is added to here (projections of attention and of MLPs that are no experts are such): ${shownNames(d.tensors)}; if it is of this model, merge it with \`merge_and_unload()\` of peft, and give the result`,
  WEIGHT_QUANT_METHOD: (d: { name: string; where: string; method: string }) =>
    `weight "${d.name}" in ${d.where} is stored as ${d.method}, which this engine does not read; take the float checkpoint that it was made of, and quantise it at load with --quantize`,
  WEIGHT_NUMBERS_INVALID: (d: {
    name: string;
    file: string;
    end: number;
    found: number;
    place: readonly number[];
  }) =>
    `weight "${d.name}" in ${d.file} must hold whole numbers from 0 to ${d.end - 1}, found ${d.found} at [${d.place}]; config.json and the files must be of one checkpoint`,
  WEIGHT_NOT_FINITE: (d: { name: string; file: string }) =>
    `weight "${d.name}" in ${d.file} has numbers that are not finite, which cannot be quantised`,
} as const;
