import { describeValue } from './describe-value.js';

/**
 * Every failure that we raise on purpose, with the facts that its message needs.
 * Codes are AREA_PROBLEM; a message names the thing, what was expected, what was found, and the choices.
 */
const MESSAGES = {
  // Router and configuration
  /** `modelType` is undefined when config.json has none. */
  ROUTER_UNKNOWN_MODEL: (d: {
    modelType: string | undefined;
    known: readonly string[];
    nearest?: string | undefined;
  }) =>
    d.modelType === undefined
      ? `config.json has no model_type, which says what architecture it is; copy config.json from where the checkpoint comes from (known: ${d.known.join(', ')})`
      : `no router for model_type ${describeValue(d.modelType)}${d.nearest ? `; nearest: ${d.nearest}` : ''}; known: ${d.known.join(', ')}`,
  ROUTER_DUPLICATE_MODEL: (d: { modelType: string }) => `model_type "${d.modelType}" is registered twice`,
  ROUTER_MODEL_DIR_INVALID: (d: { path: string; reason: string }) => `model directory ${d.path}: ${d.reason}`,
  MODEL_INCOMPLETE: (d: { className: string; member: string; kind: 'function' | 'string' | 'object' }) =>
    `the class ${d.className} of a model lacks ${d.kind === 'function' ? `the method "${d.member}"` : `the property "${d.member}", ${d.kind === 'string' ? 'a name' : 'a part of it'}`}; docs/adding-a-model.md shows it`,
  CONFIG_INVALID: (d: { file: string; problems: readonly string[] }) => `${d.file}: ${d.problems.join('; ')}`,
  // Weights
  WEIGHT_NOT_FOUND: (d: {
    name: string;
    expected?: readonly number[] | undefined;
    where?: string | undefined;
    nearest?: string | undefined;
    remedy?: string | undefined;
  }) =>
    `weight "${d.name}"${d.expected ? ` of shape [${d.expected}]` : ''} is not in ${d.where ?? 'the checkpoint'}${d.nearest ? `; nearest: ${describeValue(d.nearest)}` : ''}${d.remedy ? `; ${d.remedy}` : ''}`,
  WEIGHT_SHAPE_MISMATCH: (d: { name: string; expected: readonly number[]; found: readonly number[] }) =>
    `weight "${d.name}" must be [${d.expected}], found [${d.found}]`,
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
  WEIGHT_QUANT_OFFSET: (d: { name: string; file: string }) =>
    `weight "${d.name}" in ${d.file} has offsets that are not zero; only symmetric integers are supported`,
  WEIGHT_QUANT_AGAIN: (d: { file: string; found: string }) =>
    `the weights are integers already (${d.file} says ${describeValue(d.found)}): quantize a float checkpoint, or load this one as it is`,
  WEIGHT_UNREAD: (d: { directory: string; modelClass: string; tensors: readonly string[] }) =>
    `${d.modelClass} does not read ${d.tensors.length} tensors of ${d.directory} that belong to what it reads: ${d.tensors.slice(0, 5).map(describeValue).join(', ')}${d.tensors.length > 5 ? ', …' : ''}; its answers would be wrong. Read them in the model class, or allow it (--allow_unread)`,
  WEIGHT_QUANT_METHOD: (d: { name: string; where: string; method: string }) =>
    `weight "${d.name}" in ${d.where} is stored as ${d.method}, which this engine does not read; take the float checkpoint that it was made of, and quantise it at load with --quantize`,
  WEIGHT_NOT_FINITE: (d: { name: string; file: string }) =>
    `weight "${d.name}" in ${d.file} has numbers that are not finite, which cannot be quantised`,
  // Builders
  BUILDER_NOT_FOUND: (d: { category: string; opName: string; refusals: readonly string[] }) =>
    `no ${d.category} builder accepts "${d.opName}": ${d.refusals.join('; ') || 'none is registered'}`,
  BUILDER_TENSOR_MISSING: (d: { category: string; opName: string; tensor: string }) =>
    `the ${d.category} builder of "${d.opName}" needs the tensor "${d.tensor}", which was not given`,
  BUILDER_AMBIGUOUS: (d: { category: string; opName: string; builders: readonly string[] }) =>
    `"${d.opName}" matches ${d.builders.length} ${d.category} builders: ${d.builders.join(', ')}`,
  // Graphs
  GRAPH_UNDEFINED_TENSOR: (d: {
    graph: string;
    op: string;
    tensor: string;
    /** The view by which the operation names the tensor. */
    view?: string;
    nearest?: string | undefined;
  }) =>
    `${d.graph}: "${d.op}" reads "${d.tensor}"${d.view ? ` (through its view "${d.view}")` : ''}, which nothing before it writes${d.nearest ? `; nearest: "${d.nearest}"` : ''}`,
  GRAPH_TENSOR_REDEFINED: (d: { graph: string; op: string; tensor: string }) =>
    `${d.graph}: "${d.op}" writes "${d.tensor}", which already exists`,
  GRAPH_UNUSED_INPUT: (d: { graph: string; tensors: readonly string[] }) =>
    `${d.graph}: declared but never read: ${d.tensors.join(', ')}`,
  GRAPH_OP_UNKNOWN: (d: { type: string; nearest?: string | undefined }) =>
    `no operation ${describeValue(d.type)}${d.nearest ? `; nearest: ${d.nearest}` : ''}; an operation of your own is made known by registerOp (docs/adding-an-op.md)`,
  GRAPH_OP_DUPLICATE: (d: { type: string }) =>
    `there is an operation ${describeValue(d.type)} already; give yours another name`,
  GRAPH_OP_INVALID: (d: { type: string; field: string; expected: string; found: string }) =>
    `the definition of the operation ${describeValue(d.type)}: ${d.field} must be ${d.expected}, found ${d.found}`,
  /** `isKnown`: the key itself exists, so its value is at fault. */
  GRAPH_PARAM_INVALID: (d: {
    op: string;
    type: string;
    key: string;
    isKnown: boolean;
    expected: string;
    found: string;
  }) =>
    `${describeValue(d.op)} (${d.type}): ${d.isKnown ? `${d.key} must be` : 'the key must be'} ${d.expected}, found ${d.found}`,
  GRAPH_ARITY_MISMATCH: (d: {
    graph: string;
    op: string;
    side: 'input' | 'output';
    expected: number;
    found: number;
  }) => `${d.graph}: "${d.op}" takes ${d.expected} ${d.side} tensors, found ${d.found}`,
  GRAPH_DUPLICATE_NODE: (d: { graph: string; node: string }) => `${d.graph}: two nodes are named "${d.node}"`,
  GRAPH_NOT_IN_PLACE: (d: { graph: string; op: string; expected: string; found: string }) =>
    `${d.graph}: "${d.op}" writes in place, so its output must be "${d.expected}", found "${d.found}"`,
  GRAPH_VIEW_INVALID: (d: { graph: string; view: string; reason: string }) =>
    `${d.graph}: view "${d.view}" ${d.reason}`,
  GRAPH_SHAPE_MISMATCH: (d: { graph: string; op: string; reason: string }) =>
    `${d.graph}: "${d.op}": ${d.reason}`,
  GRAPH_INPUT_MISSING: (d: { graph: string; tensors: readonly string[] }) =>
    `${d.graph}: no tensor was given for: ${d.tensors.join(', ')}`,
  GRAPH_TENSOR_UNKNOWN: (d: { graph: string; role: string; tensor: string; known: readonly string[] }) =>
    `${d.graph} has no ${d.role} "${d.tensor}"; it has: ${d.known.join(', ')}`,
  GRAPH_TENSOR_MISMATCH: (d: { graph: string; tensor: string; expected: string; found: string }) =>
    `${d.graph}: tensor "${d.tensor}" must be ${d.expected}, found ${d.found}`,
  GRAPH_EXECUTOR_MISSING: (d: { graph: string }) =>
    `nothing can run ${d.graph}: import "atb-models", which registers the native engine`,
  GRAPH_PASS_UNKNOWN: (d: { pass: string; known: readonly string[] }) =>
    `no graph pass "${d.pass}"; known: all, none, ${d.known.join(', ')}`,
  GRAPH_CACHE_MISMATCH: (d: { graph: string; cache: string; expected: string; found: string }) =>
    `${d.graph}: the layers that share the cache "${d.cache}" must agree on it; expected ${d.expected}, found ${d.found}`,
  GRAPH_ILLEGAL: (d: { graph: string; problems: readonly string[] }) =>
    `${d.graph} is not legal in ATB: ${d.problems.join('; ')}`,
  // Native engine: `reason` is the engine's own text, which names the operation and the tensors.
  NATIVE_MISSING: (d: { looked: readonly string[]; reason?: string | undefined; remedy: string }) =>
    `the native addon ${d.reason ? `cannot be loaded (${d.reason})` : 'is not there'}; ${d.remedy}. Looked in:\n  ${d.looked.join('\n  ')}`,
  NATIVE_OP_MISSING: (d: { graph: string; node: string; type: string }) =>
    `${d.graph}: the engine cannot run ${describeValue(d.node)}: ${d.type} was made known by registerOp, but has no native operation; add one (docs/adding-an-op.md), or say it with operations that supportedOps() lists`,
  NATIVE_ERROR: (d: { nativeCode: string; reason: string }) => `${d.nativeCode}: ${d.reason}`,
  ENGINE_DISPOSED: (d: { object: string }) => `${d.object} was disposed`,
  // Tokenizer and chat template
  TOKENIZER_MISSING: (d: { dir: string; advice: string }) => `${d.dir} has no tokenizer.json; ${d.advice}`,
  TOKENIZER_INVALID: (d: { file: string; problem: string }) => `${d.file}: ${d.problem}`,
  TOKENIZER_PATTERN: (d: { file: string; part: string; pattern: string; reason: string }) =>
    `${d.file}: the regular expression ${describeValue(d.pattern)} of its ${d.part} cannot be used: ${d.reason}`,
  TOKENIZER_TOO_SLOW: (d: { file: string; textLen: number; limitMs: number }) =>
    `${d.file}: it takes longer than ${d.limitMs} ms for a text of ${d.textLen} characters`,
  TOKENIZER_CRASHED: (d: { file: string; textLen: number; reason: string }) =>
    `${d.file}: the tokenizer's process ended over a text of ${d.textLen} characters: ${d.reason}`,
  TEMPLATE_MISSING: (d: { looked: readonly string[] }) =>
    `no chat template in ${d.looked.join(', ')}; give one with --chat_template, or send plain text instead of messages`,
  TEMPLATE_INVALID: (d: { source: string; reason: string }) =>
    `${d.source} is not a chat template: ${d.reason}`,
  TEMPLATE_LIMIT: (d: { source: string; what: string; limit: number }) =>
    `${d.source} exceeds what a chat template may use: ${d.what}, at most ${d.limit}`,
  TEMPLATE_REFUSED: (d: { source: string; reason: string }) =>
    `${d.source} refuses this conversation: ${d.reason}`,
  TEMPLATE_FAILED: (d: { source: string; reason: string }) => `${d.source} failed: ${d.reason}`,
  // Requests and options
  REQUEST_INVALID: (d: { field: string; expected: string; found: unknown }) =>
    `${d.field} must be ${d.expected}, found ${describeValue(d.found)}`,
  REQUEST_TOO_LONG: (d: {
    promptLen: number;
    maxTokens: number;
    neededLen: number;
    limit: number;
    what: string;
  }) =>
    `a prompt of ${d.promptLen} tokens with up to ${d.maxTokens} new ones needs ${d.neededLen} tokens of ${d.what}, which holds ${d.limit}`,
  CACHE_TOO_SMALL: (d: { neededBytes: number; availableBytes: number; remedy: string }) =>
    `the KV cache needs ${d.neededBytes} bytes, ${d.availableBytes} are available; ${d.remedy}`,
  REQUEST_ABORTED: (d: { text: string; tokens: readonly number[] }) =>
    `the request was aborted after ${d.tokens.length} tokens`,
  REQUEST_FAILED: (d: { during: string; reason: string }) =>
    `the request failed while ${d.during}: ${d.reason}`,
  OUTPUT_ABORTED: (d: { file: string }) => `${d.file} was not written, because the work was stopped`,
  REQUEST_NOT_FINITE: (d: { step: number }) =>
    `the model's logits are not finite at generated token ${d.step}; the checkpoint or its dtype is at fault`,
  // Guided output
  GUIDE_INVALID: (d: { what: string; problem: string }) => `${d.what}: ${d.problem}`,
  GUIDE_UNSUPPORTED: (d: { what: string; found: string }) =>
    `${d.what}: guided output cannot keep ${d.found}; leave it out, or check the answer afterwards`,
  GUIDE_TOO_LARGE: (d: { what: string; limit: number }) =>
    `the grammar for guided output has more than ${d.limit} ${d.what}; ask for less at once`,
  GUIDE_NO_ROOM: (d: { reason: string }) => `guided output has no room: ${d.reason}; raise maxTokens`,
  GUIDE_STUCK: (d: { step: number }) =>
    `no token may follow at generated token ${d.step}: the vocabulary cannot write what the grammar wants, or a logit bias forbids it`,
  // Models by name
  MODEL_NOT_CACHED: (d: { given: string; folder: string; cacheDir: string }) =>
    `there is no folder ${describeValue(d.folder)}, and no model ${describeValue(d.given)} in the cache ${d.cacheDir}; \`atb-models pull ${d.given}\` fetches it`,
  HUB_OFFLINE: (d: { model: string; cacheDir: string }) =>
    `${d.model} is not in the cache ${d.cacheDir}, and nothing is fetched while HF_HUB_OFFLINE is set`,
  HUB_NOT_FOUND: (d: { model: string; what: string }) =>
    `${d.model}: the hub has no ${d.what}; a model that is not public needs HF_TOKEN`,
  HUB_REFUSED: (d: { model: string; status: number }) =>
    `${d.model}: the hub refused access (HTTP ${d.status}); set HF_TOKEN to a token that may read it, and accept its licence on its page`,
  HUB_UNREACHABLE: (d: { model: string; endpoint: string; reason: string }) =>
    `${d.model} cannot be fetched from ${d.endpoint}: ${d.reason}; call again to go on where this ended`,
  HUB_FILE_DAMAGED: (d: { model: string; file: string; expected: string; found: string }) =>
    `${d.model}: ${d.file} must be ${d.expected}, received ${d.found}; call again to fetch it anew`,
  OUTPUT_UNWRITABLE: (d: { flag: string; file: string; reason: string }) =>
    `${d.flag}: ${describeValue(d.file)} cannot be written: ${d.reason}`,
  OPTION_UNKNOWN: (d: { option: string; nearest?: string | undefined; help: string }) =>
    `there is no ${d.option}${d.nearest ? `; nearest: ${d.nearest}` : ''}; \`${d.help}\` lists all`,
  OPTION_UNSUPPORTED: (d: { option: string; found: unknown; reason: string }) =>
    `${d.option}=${describeValue(d.found)} is not supported: ${d.reason}`,
} as const;

export type ErrorCode = keyof typeof MESSAGES;
export type ErrorDetail<C extends ErrorCode> = Parameters<(typeof MESSAGES)[C]>[0];

/** Branch on `code`; read the facts from `detail`; never parse `message`. */
export class AtbError<C extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'AtbError';
  constructor(
    readonly code: C,
    readonly detail: ErrorDetail<C>,
    options?: ErrorOptions,
  ) {
    super(`${code}: ${(MESSAGES[code] as (d: ErrorDetail<C>) => string)(detail)}`, options);
  }
}

/** What was thrown, as an AtbError: anything else becomes REQUEST_FAILED with the original as its `cause`. */
export function requestError(during: string, thrown: unknown): AtbError {
  try {
    if (thrown instanceof AtbError) return thrown;
    const reason = thrown instanceof Error ? String(thrown.message) : describeValue(thrown);
    return new AtbError('REQUEST_FAILED', { during, reason }, { cause: thrown });
  } catch {
    // Looking at a foreign object may throw as well.
    return new AtbError('REQUEST_FAILED', { during, reason: 'an error that cannot be read' });
  }
}

/** Refuses a value of a request or an option by its name. @throws REQUEST_INVALID */
export function refuseRequest(field: string, expected: string, found: unknown): never {
  throw new AtbError('REQUEST_INVALID', { field, expected, found });
}
