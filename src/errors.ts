import { describeValue, escapeInvisible } from './describe-value.js';
import { WEIGHT_MESSAGES } from './weight-messages.js';

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
    /** Why a family that is known by name is not built. */
    reason?: string | undefined;
  }) =>
    d.modelType === undefined
      ? `config.json has no model_type, which says what architecture it is, nor the architectures of a known family; copy config.json from where the checkpoint comes from (known: ${d.known.join(', ')})`
      : `no router for model_type ${describeValue(d.modelType)}${d.nearest ? `; nearest: ${d.nearest}` : ''}${d.reason ? `, which is not built: ${d.reason}` : ''}; known: ${d.known.join(', ')}`,
  ROUTER_DUPLICATE_MODEL: (d: { modelType: string }) => `model_type "${d.modelType}" is registered twice`,
  ROUTER_MODEL_DIR_INVALID: (d: { path: string; reason: string }) => `model directory ${d.path}: ${d.reason}`,
  MODEL_INCOMPLETE: (d: { className: string; member: string; kind: 'function' | 'string' | 'object' }) =>
    `the class ${d.className} of a model lacks ${d.kind === 'function' ? `the method "${d.member}"` : `the property "${d.member}", ${d.kind === 'string' ? 'a name' : 'a part of it'}`}; docs/adding-a-model.md shows it`,
  MODEL_USE_UNSUPPORTED: (d: { use: string; modelType: unknown; architectures: unknown }) =>
    `a checkpoint of model_type ${describeValue(d.modelType)} and architectures ${describeValue(d.architectures)} cannot be used to ${d.use}; decoders generate and embed, encoders embed, classifiers (…ForSequenceClassification) rank`,
  MODEL_EXPORT_UNSUPPORTED: (d: { modelType: unknown; reason: string; phases: readonly string[] }) =>
    `a checkpoint of model_type ${describeValue(d.modelType)} is not exported, because ${d.reason}; its graphs alone are written by "atb-models graph --format json --phase", one each of ${d.phases.join(', ')}`,
  CONFIG_INVALID: (d: { file: string; problems: readonly string[] }) => `${d.file}: ${d.problems.join('; ')}`,
  ...WEIGHT_MESSAGES,
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
    `the native addon ${d.reason ? `cannot be loaded (${d.reason})` : 'is not there'}; ${d.remedy}. Looked in ${d.looked.join(', ')}`,
  NATIVE_OP_MISSING: (d: { graph: string; node: string; type: string }) =>
    `${d.graph}: the engine cannot run ${describeValue(d.node)}: ${d.type} was made known by registerOp, but has no native operation; add one (docs/adding-an-op.md), or say it with operations that supportedOps() lists`,
  NATIVE_ERROR: (d: { nativeCode: string; reason: string }) => `${d.nativeCode}: ${d.reason}`,
  /** `reason` begins with the file. */
  PACKED_UNUSABLE: (d: { reason: string }) => `packed weights cannot be used: ${d.reason}`,
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
  /** `names`: of templates that are there, none of which is the default. */
  TEMPLATE_MISSING: (d: { looked: readonly string[]; names?: readonly string[] }) =>
    d.names?.length
      ? `no chat template in ${d.looked.join(', ')} is the one to take; choose one of ${d.names.join(', ')} with --chat_template`
      : `no chat template in ${d.looked.join(', ')}; give one with --chat_template, or send plain text instead of messages`,
  /** `names`: of the checkpoint's own templates. */
  TEMPLATE_UNKNOWN: (d: { option: string; names: readonly string[] }) =>
    `--chat_template ${describeValue(d.option)} is neither a template (it has no {{ or {%), nor a file, nor the name of a template of the checkpoint, which ${d.names.length > 0 ? `has ${d.names.join(', ')}` : 'has none'}`,
  CHAT_TEMPLATE_NEEDED: (d: { directory: string }) =>
    `${d.directory} has no chat template, so nobody can talk with it: have it go on with a text by \`atb-models generate\`, or give a template with --chat_template`,
  TEMPLATE_INVALID: (d: { source: string; reason: string }) =>
    `${d.source} is not a chat template: ${d.reason}`,
  TEMPLATE_LIMIT: (d: { source: string; what: string; limit: number }) =>
    `${d.source} exceeds what a chat template may use: ${d.what}, at most ${d.limit}`,
  TEMPLATE_REFUSED: (d: { source: string; reason: string }) =>
    `${d.source} refuses this conversation: ${d.reason}`,
  TEMPLATE_FAILED: (d: { source: string; reason: string }) => `${d.source} failed: ${d.reason}`,
  // Arguments of what the package exports
  /** `call` is what was called: `flatten`, `BlockManager.grow`. */
  ARGUMENT_INVALID: (d: { call: string; argument: string; expected: string; found: unknown }) =>
    `${d.call}: ${d.argument} must be ${d.expected}, found ${d.found === undefined ? 'nothing' : describeValue(d.found)}`,
  // Requests and options
  REQUEST_INVALID: (d: { field: string; expected: string; found: unknown }) =>
    `${d.field} must be ${d.expected}, found ${d.found === undefined ? 'nothing' : describeValue(d.found)}`,
  REQUEST_TOO_LONG: (d: {
    promptLen: number;
    maxTokens: number;
    neededLen: number;
    limit: number;
    what: string;
  }) =>
    `a prompt of ${d.promptLen} tokens with up to ${d.maxTokens} new ones needs ${d.neededLen} tokens of ${d.what}, which holds ${d.limit}; shorten the prompt, or ask for fewer new tokens`,
  DRAFT_VOCABULARY_DIFFERS: (d: { target: string; draft: string; difference: string }) =>
    `the draft model ${d.draft} cannot guess for ${d.target}: ${d.difference}; take one with the same tokenizer`,
  CACHE_TOO_SMALL: (d: { neededBytes: number; availableBytes: number; remedy: string }) =>
    `the KV cache needs ${d.neededBytes} bytes, ${d.availableBytes} are available; ${d.remedy}`,
  REQUEST_ABORTED: (d: { text: string; tokens: readonly number[] }) =>
    `the request was aborted after ${d.tokens.length} tokens`,
  /** The `cause` of a REQUEST_ABORTED. */
  REQUEST_TIMEOUT: (d: { timeoutMs: number }) => `the request did not end within ${d.timeoutMs} ms`,
  REQUEST_FAILED: (d: { during: string; reason: string }) =>
    `the request failed while ${d.during}: ${d.reason}`,
  OUTPUT_ABORTED: (d: { file: string }) => `${d.file} was not written, because the work was stopped`,
  REQUEST_NOT_FINITE: (d: { step: number }) =>
    `the model's logits are not finite at generated token ${d.step}: the dtype is too narrow for this checkpoint, which --dtype f32 would show, or its files hold such numbers: atb-models check --finite names the tensors`,
  // Guided output
  GUIDE_INVALID: (d: { what: string; problem: string }) => `${d.what}: ${d.problem}`,
  GUIDE_UNSUPPORTED: (d: { what: string; found: string }) =>
    `${d.what}: guided output cannot keep ${d.found}; leave it out, or check the answer afterwards`,
  GUIDE_TOO_LARGE: (d: { what: string; limit: number }) =>
    `the grammar for guided output has more than ${d.limit} ${d.what}; ask for less at once`,
  GUIDE_NO_ROOM: (d: { reason: string }) =>
    `guided output has no room: ${d.reason}; allow more new tokens (maxTokens, max_tokens of a request)`,
  GUIDE_STUCK: (d: { step: number }) =>
    `no token may follow at generated token ${d.step}: the vocabulary cannot write what the grammar wants, a logit bias forbids it, or the grammar reads the text in too many ways`,
  SERVER_UNREACHABLE: (d: { address: string; reason: string }) => `${d.address} gives no answer: ${d.reason}`,
  SERVER_FAILED: (d: { address: string; reason: string }) => `no server at ${d.address}: ${d.reason}`,
  // Pictures and sound
  /** `what` names the picture or sound: "picture 2 of the prompt". */
  MEDIA_INVALID: (d: { what: string; reason: string }) => `${d.what} cannot be decoded: ${d.reason}`,
  MEDIA_UNSUPPORTED: (d: { what: string; expected: string; found: string }) =>
    `${d.what} must have ${d.expected}, found ${d.found}`,
  MEDIA_TOO_LARGE: (d: { what: string; expected: string; found: string }) =>
    `${d.what} must have ${d.expected}, found ${d.found}; make it smaller first`,
  MEDIA_DECODER_MISSING: (d: { package: string; media: string }) =>
    `${d.media} are decoded by the optional package ${d.package}, which cannot be loaded; \`npm install ${d.package}\` beside this one`,
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
    // Names of files and what files hold may be anything.
    super(escapeInvisible(`${code}: ${(MESSAGES[code] as (d: ErrorDetail<C>) => string)(detail)}`), options);
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
