export type { Arity, AtbRules, MatrixLayout, OpDefinition, PackedMatrix } from './definition.js';
export { Inputs, type OpPlace, type TensorDesc } from './inputs.js';
export type { AtbOpParams, AtbOpType } from './op-params.js';
export { findOp, inPlaceOutputs, isRegisteredOp, opOf, registerOp, writtenInputsOf } from './registry.js';
export { ATB_OPS, EXTENSION_OPS } from './table.js';
