import type { DType } from '../dtype.js';
import type { TensorDesc } from './infer-shapes.js';
import type { AtbOpParams, AtbOpType, LayerNormParam, RmsNormParam } from './op-params.js';

/** What ATB's operations check of their own params and of shapes, beyond types, counts and dtypes (atb-ops section 4). */
const RULES: {
  readonly [T in AtbOpType]?: (param: AtbOpParams[T], inputs: readonly TensorDesc[]) => string[];
} = {
  Split: ({ splitDim, splitNum, splitSizes = [] }) => [
    ...unless(splitNum === 2 || splitNum === 3, `splitNum must be 2 or 3, found ${splitNum}`),
    ...unless(splitSizes.length === 0 || splitDim >= 0, 'splitDim must not be negative beside splitSizes'),
  ],
  Rope: ({ rotaryCoeff }, inputs) => {
    const width = inputs[2]?.shape.at(-1) ?? 0;
    const known = [2, 4, width / 2, width];
    return unless(
      known.includes(rotaryCoeff),
      `rotaryCoeff must be one of ${known.join(', ')}, found ${rotaryCoeff}`,
    );
  },
  RmsNorm: (param) => normRule(param, 'RMS_NORM_'),
  LayerNorm: (param) => normRule(param, 'LAYER_NORM_'),
  Activation: ({ activationType }) => unless(activationType !== undefined, 'activationType must be defined'),
  Elewise: ({ elewiseType }) => unless(elewiseType !== undefined, 'elewiseType must be defined'),
  SelfAttention: ({ maskType = 'MASK_TYPE_UNDEFINED', isTriuMask = 0, ...heads }, inputs) => [
    ...headRules(heads, inputs),
    ...unless(isTriuMask === 0 || isTriuMask === 1, `isTriuMask must be 0 or 1, found ${isTriuMask}`),
    ...unless(isTriuMask !== 1 || maskType !== 'MASK_TYPE_UNDEFINED', 'isTriuMask 1 needs a mask'),
    ...unless(headSize(inputs) <= 576, `head size must be at most 576, found ${headSize(inputs)}`),
  ],
  PagedAttention: (
    { maskType = 'MASK_TYPE_UNDEFINED', calcType = 'CALC_TYPE_UNDEFINED', ...heads },
    inputs,
  ) => {
    const [size, blockSize] = [headSize(inputs), inputs[1]?.shape[1] ?? 0];
    const several = calcType === 'CALC_TYPE_SPEC';
    const masked = maskType === 'MASK_TYPE_NORM' || maskType === 'MASK_TYPE_SPEC';
    return [
      ...headRules(heads, inputs),
      ...unless(!several || masked, 'CALC_TYPE_SPEC needs maskType NORM or SPEC'),
      ...unless(
        several ? size <= 256 && blockSize * size <= 16384 : size <= 576 && (size <= 256 || blockSize <= 128),
        `head size ${size} with blocks of ${blockSize} is too large`,
      ),
    ];
  },
  Softmax: ({ axes }) =>
    unless(
      axes.every((axis, index) => index === 0 || axis === (axes[index - 1] ?? 0) + 1),
      `axes must be consecutive, found [${axes}]`,
    ),
  LinearParallel: ({ rank, rankSize }) =>
    unless(rank >= 0 && rank < rankSize, `rank must be below rankSize, found ${rank} of ${rankSize}`),
  DynamicQuant: (_, inputs) => quantInput(inputs),
  W8A16MatMul: weightQuantRule,
  W4A16MatMul: weightQuantRule,
  W8A8MatMul: ({ hasPerTokenScale = false }, inputs) => [
    ...dtypes(inputs, 'i8', 'i8', 'f32', ...(hasPerTokenScale ? (['f32'] as const) : [])),
    ...unless(
      !hasPerTokenScale || inputs[3]?.shape.join() === inputs[0]?.shape.slice(0, -1).join(),
      'there must be one scale per token',
    ),
  ],
};

const isHalf = (dtype: DType | undefined): boolean => dtype === 'f16' || dtype === 'bf16';

function quantInput([x]: readonly TensorDesc[]): string[] {
  return unless(isHalf(x?.dtype), `the input must be f16 or bf16, found ${x?.dtype}`);
}

function dtypes(inputs: readonly TensorDesc[], ...expected: readonly (DType | undefined)[]): string[] {
  return expected.flatMap((dtype, index) =>
    unless(inputs[index]?.dtype === dtype, `input ${index} must be ${dtype}, found ${inputs[index]?.dtype}`),
  );
}

/** aclnnWeightQuantBatchMatmulV2: scales and offsets in the dtype of x, one per channel or per group of it. */
function weightQuantRule(
  { quantGroupSize: size, transposeB }: AtbOpParams['W8A16MatMul'],
  inputs: readonly TensorDesc[],
): string[] {
  const [x, weight, scale, offset] = inputs;
  const k = x?.shape.at(-1) ?? 0;
  const groups = size > 0 ? Math.ceil(k / size) : 1;
  const n = weight?.shape[0] ?? 0;
  const shape = [n, groups].join();
  const fits = (desc: TensorDesc | undefined): boolean => !transposeB || desc?.shape.join() === shape;
  return [
    ...quantInput(inputs),
    ...dtypes(inputs, x?.dtype, 'i8', x?.dtype, x?.dtype),
    ...unless(
      size === 0 || (size % 32 === 0 && size >= 32 && size < k),
      `quantGroupSize must be 0 or a multiple of 32 below ${k}, found ${size}`,
    ),
    ...unless(fits(scale) && fits(offset), `scale and offset must be [${shape}]`),
  ];
}

/** The block that `layerType` selects; ATB refuses to make a norm of undefined type. */
function normRule(param: RmsNormParam | LayerNormParam, prefix: string): string[] {
  const { layerType, ...blocks } = param;
  if (layerType === undefined || layerType === (`${prefix}UNDEFINED` as string))
    return ['layerType must be defined'];
  const epsilon = Object.values(blocks).map((block) => block.epsilon)[0];
  return unless(typeof epsilon === 'number' && epsilon > 0, `epsilon must be positive, found ${epsilon}`);
}

const unless = (ok: boolean, problem: string): string[] => (ok ? [] : [problem]);

const headSize = (inputs: readonly TensorDesc[]): number => inputs[0]?.shape.at(-1) ?? 0;

function headRules(
  { headNum, kvHeadNum, qkScale }: { headNum: number; kvHeadNum: number; qkScale: number },
  inputs: readonly TensorDesc[],
): string[] {
  return [
    ...unless(headNum > 0, `headNum must be positive, found ${headNum}`),
    ...unless(
      kvHeadNum >= 0 && headNum % (kvHeadNum || headNum) === 0,
      `headNum ${headNum} must be a multiple of kvHeadNum ${kvHeadNum}`,
    ),
    ...unless(qkScale > 0, `qkScale must be positive, found ${qkScale}`),
    ...unless(inputs[0]?.shape.length === 3, 'the query must be [tokens, heads, headSize]'),
  ];
}

/** Problems of one operation's params. */
export function paramProblems(type: AtbOpType, param: object, inputs: readonly TensorDesc[]): string[] {
  const rule = RULES[type] as ((param: object, inputs: readonly TensorDesc[]) => string[]) | undefined;
  return rule?.(param, inputs) ?? [];
}

const camel = (prefix: string, name: string | undefined): string =>
  (name ?? '')
    .slice(prefix.length)
    .toLowerCase()
    .replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())
    .replace('Realdiv', 'RealDiv');

/** The name of an operation's section in atb_ops_info.ini: made of its params, as ATB makes it. */
const SECTIONS: { readonly [T in AtbOpType]?: (param: AtbOpParams[T]) => string } = {
  Linear: ({ hasBias = true, enAccum = false }) =>
    enAccum ? 'LinearOperationMatmulAccum' : `LinearOperationMatmul${hasBias ? 'WithBias' : ''}Atlas800IA2`,
  LinearParallel: ({ backend, hasResidual = false }) => {
    const lcoc = backend === 'lcoc' ? 'Lcoc' : '';
    return hasResidual
      ? `LinearParallel${lcoc && 'Cover'}OperationWithResidual${lcoc}`
      : `LinearParallelOperationWithoutResidual${lcoc}`;
  },
  Split: ({ splitNum }) => `SplitOperation${splitNum === 2 ? 'BISECT' : 'TRISECT'}`,
  Elewise: ({ elewiseType }) => `ElewiseOperation${camel('ELEWISE_', elewiseType)}`,
  Activation: ({ activationType }) =>
    `ActivationOperation${(activationType ?? '').slice('ACTIVATION_'.length).replaceAll('_', '')}`,
  RmsNorm: (param) => {
    if (param.layerType === 'RMS_NORM_NORM') {
      const quant = param.normParam?.quantType === 'QUANT_INT8';
      return `RmsNormOperationNORMAnd${quant ? 'QUANTParamInTensor' : 'QUANTUNDEFINEDWithoutRSTD'}`;
    }
    const isPre = param.layerType === 'RMS_NORM_PRENORM';
    const block = isPre ? param.preNormParam : param.postNormParam;
    const form = block?.quantType === 'QUANT_INT8' ? 'AndQUANT' : block?.hasBias ? '' : 'NoBias';
    return `RmsNormOperation${isPre ? 'PRENORM' : 'POSTNORM'}${form}`;
  },
  LayerNorm: (param) => {
    if (param.layerType === 'LAYER_NORM_PRENORM') return 'LayerNormOperationPrenorm';
    const isPost = param.layerType === 'LAYER_NORM_POSTNORM';
    const quant = (isPost ? param.postNormParam : param.normParam)?.quantType === 'QUANT_INT8';
    return `LayerNormOperation${isPost ? 'Postnorm' : 'Norm'}${quant ? 'Quant' : ''}`;
  },
  Reduce: ({ reduceType }) => `ReduceOperation${reduceType === 'REDUCE_SUM' ? 'SUM' : ''}`,
  Fill: ({ withMask = false }) => `FillOperation${withMask ? 'WithMask' : 'WithoutMask'}`,
  SelfAttention: ({ maskType = 'MASK_TYPE_UNDEFINED' }) =>
    `SelfAttentionOperationEncoder${maskType === 'MASK_TYPE_UNDEFINED' ? 'Mask0' : ''}`,
  PagedAttention: ({ maskType = 'MASK_TYPE_UNDEFINED', calcType }) => {
    const [several, masked] = [calcType === 'CALC_TYPE_SPEC', maskType !== 'MASK_TYPE_UNDEFINED'];
    const flags = `RazorOffset0QLens${several ? 1 : 0}Mask${masked ? 1 : 0}Batch0Quant0Offset0`;
    return `PagedAttentionOperationQKVQuantOnline0QKVQuantOffline0${flags}`;
  },
  Sort: () => 'SortOperationA2and950',
};

/** The table of dtypes that holds for an operation; undefined for ops that ATB takes from aclnn. */
export function sectionOf(type: AtbOpType, param: object): string | undefined {
  const section = SECTIONS[type] as ((param: object) => string) | undefined;
  return section ? section(param) : `${type}Operation`;
}
