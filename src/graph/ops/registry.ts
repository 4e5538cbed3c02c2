import { describeValue } from '../../describe-value.js';
import { AtbError } from '../../errors.js';
import { nearestName } from '../../nearest-name.js';
import { OBJECT, requireArgument } from '../../require-argument.js';
import type { OpDefinition } from './definition.js';
import type { AtbOpParams, AtbOpType } from './op-params.js';
import { ATB_OPS, EXTENSION_OPS } from './table.js';

const definitions = new Map<string, OpDefinition>(
  [...ATB_OPS, ...EXTENSION_OPS].map((definition) => [definition.type, definition]),
);
const registered = new Set<string>();

/**
 * Makes an operation of your own known: then graphs can hold it. The engine runs it when its native side has an operation
 * of this type (`supportedOps()`); otherwise loading such a graph throws NATIVE_OP_MISSING. To ATB it is an extension.
 * Throws GRAPH_OP_DUPLICATE, GRAPH_OP_INVALID.
 */
export function registerOp<T extends AtbOpType>(definition: OpDefinition<T, AtbOpParams[T] & object>): void {
  requireArgument('registerOp', 'the definition', OBJECT, definition);
  const { type } = definition;
  requireFunctions(definition);
  if (definitions.has(type)) throw new AtbError('GRAPH_OP_DUPLICATE', { type });
  definitions.set(type, definition);
  registered.add(type);
}

/** JavaScript may leave out what TypeScript asks for; then the op would fail far from here. */
function requireFunctions(definition: OpDefinition): void {
  const { type, arity, shapes } = definition;
  const wanted = [
    ['type', type, 'string'],
    ['arity', arity, 'function'],
    ['shapes', shapes, 'function'],
  ] as const;
  for (const [field, value, kind] of wanted) {
    if (typeof value === kind) continue;
    const detail = { type: String(type), field, expected: `a ${kind}`, found: describeValue(value) };
    throw new AtbError('GRAPH_OP_INVALID', detail);
  }
}

/** The definition of an op type, if there is one. */
export const findOp = (type: string): OpDefinition | undefined => definitions.get(type);

/** The definition of an op type. Throws GRAPH_OP_UNKNOWN. */
export function opOf(type: string): OpDefinition {
  const definition = definitions.get(type);
  if (definition !== undefined) return definition;
  const text = String(type);
  throw new AtbError('GRAPH_OP_UNKNOWN', { type: text, nearest: nearestName(text, definitions.keys()) });
}

/** Whether an op type was added by `registerOp`. */
export const isRegisteredOp = (type: string): boolean => registered.has(type);

/** An operation as a graph holds it. */
interface PlacedOp {
  readonly type: string;
  readonly param: object;
}

/** Output index -> input index, for operations that write into what they read; those outputs have no other place. */
export const inPlaceOutputs = ({ type, param }: PlacedOp): Readonly<Record<number, number>> =>
  findOp(type)?.inPlace?.(param) ?? {};

/** Inputs that an operation changes. */
export function writtenInputsOf(op: PlacedOp): readonly number[] {
  return findOp(op.type)?.writes ?? Object.values(inPlaceOutputs(op));
}
