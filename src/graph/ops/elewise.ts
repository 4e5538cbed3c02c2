import { lacking, type OpDefinition, unless } from './definition.js';
import { type AclDataType, DTYPE_OF_ACL } from './inputs.js';

/** x -> f(x), or x, y -> f(x, y), which broadcast. */
export type ElewiseParam =
  | {
      readonly elewiseType:
        | 'ELEWISE_ADD'
        | 'ELEWISE_SUB'
        | 'ELEWISE_MUL'
        | 'ELEWISE_REALDIV'
        | 'ELEWISE_COS'
        | 'ELEWISE_SIN'
        | 'ELEWISE_NEG'
        | 'ELEWISE_TANH'
        | 'ELEWISE_LOGICAL_NOT'
        | 'ELEWISE_LOGICAL_AND'
        | 'ELEWISE_LOGICAL_OR'
        | 'ELEWISE_LESS'
        | 'ELEWISE_GREATER'
        | 'ELEWISE_EQUAL';
    }
  /** x, scale, offset -> int8: round(x / scale + offset). Scale and offset have one number, or one for each channel. */
  | { readonly elewiseType: 'ELEWISE_QUANT_PER_CHANNEL' }
  | { readonly elewiseType: 'ELEWISE_MULS'; readonly mulsParam: { readonly varAttr: number } }
  | { readonly elewiseType: 'ELEWISE_CAST'; readonly outTensorType: AclDataType };

const UNARY: ReadonlySet<ElewiseParam['elewiseType']> = new Set([
  'ELEWISE_CAST',
  'ELEWISE_MULS',
  'ELEWISE_COS',
  'ELEWISE_SIN',
  'ELEWISE_NEG',
  'ELEWISE_TANH',
  'ELEWISE_LOGICAL_NOT',
]);

export const elewise: OpDefinition<'Elewise', ElewiseParam> = {
  type: 'Elewise',
  lacks(param) {
    if (param.elewiseType === 'ELEWISE_MULS') return lacking(param, 'mulsParam', 'an object');
    return param.elewiseType === 'ELEWISE_CAST' ? lacking(param, 'outTensorType', 'a dtype') : [];
  },
  arity: ({ elewiseType }) => ({ inputs: inputsOf(elewiseType), outputs: 1 }),
  shapes(inputs, param) {
    const x = inputs.at(0);
    switch (param.elewiseType) {
      case 'ELEWISE_CAST': {
        const dtype =
          DTYPE_OF_ACL[param.outTensorType] ?? inputs.fail(`cannot cast to ${param.outTensorType}`);
        return [{ dtype, shape: x.shape }];
      }
      case 'ELEWISE_QUANT_PER_CHANNEL':
        return [{ dtype: 'i8', shape: x.shape }];
      case 'ELEWISE_ADD':
      case 'ELEWISE_SUB':
      case 'ELEWISE_MUL':
      case 'ELEWISE_REALDIV':
        inputs.sameDtype(0, 1);
        return [{ dtype: x.dtype, shape: inputs.broadcast(0, 1) }];
      case 'ELEWISE_LESS':
      case 'ELEWISE_GREATER':
      case 'ELEWISE_EQUAL':
      case 'ELEWISE_LOGICAL_AND':
      case 'ELEWISE_LOGICAL_OR':
        inputs.sameDtype(0, 1);
        return [{ dtype: 'i8', shape: inputs.broadcast(0, 1) }];
      default:
        return [x];
    }
  },
  atb: {
    section: ({ elewiseType }) => `ElewiseOperation${camel(elewiseType)}`,
    // elewise_operation.cpp: a type that its tables lack has no inputs and no dtypes.
    problems: ({ elewiseType }) => {
      const type: string | undefined = elewiseType;
      return [
        ...unless(type !== undefined && type !== 'ELEWISE_UNDEFINED', 'elewiseType must be defined'),
        ...unless(
          !UNSUPPORTED.has(type),
          `${elewiseType} reads scales and offsets that our graphs do not give it`,
        ),
      ];
    },
  },
};

/** Types whose counts and results no graph of ours has: other ways to quantise, and its inverse (up to 3 outputs). */
const UNSUPPORTED: ReadonlySet<string | undefined> = new Set([
  'ELEWISE_QUANT',
  'ELEWISE_DEQUANT_PER_CHANNEL',
  'ELEWISE_DYNAMIC_QUANT',
]);

/** elewise_operation.cpp, GetInputNum. */
const inputsOf = (type: ElewiseParam['elewiseType']): number =>
  UNARY.has(type) ? 1 : type === 'ELEWISE_QUANT_PER_CHANNEL' ? 3 : 2;

/** `ELEWISE_LOGICAL_NOT` is `LogicalNot` in the names of sections. */
const camel = (type: string | undefined): string =>
  (type ?? '')
    .slice('ELEWISE_'.length)
    .toLowerCase()
    .replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())
    .replace('Realdiv', 'RealDiv');
