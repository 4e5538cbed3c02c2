/** What the files have of one linear, without the name of the linear: `weight`, `qweight`, `scales`. */
export interface ForeignLinear {
  /** Whether there is a tensor of this name. */
  has(suffix: string): boolean;
  /** The shape of a tensor of this name. */
  shape(suffix: string): readonly number[] | undefined;
  /** The format's own name of the element type of `weight`: `U32`, `F8_E4M3`. */
  readonly weightDtype: string | undefined;
}

type Sign = (linear: ForeignLinear, inFeatures: number | undefined) => boolean;

/** The methods of other tools, each by the tensors that only it has. None of them is read. */
const METHODS: ReadonlyArray<readonly [method: string, sign: Sign]> = [
  // AWQ packs along the outputs [in, out / 8], GPTQ along the inputs [in / 8, out].
  [
    'AWQ',
    (linear, inFeatures) =>
      linear.has('qweight') && !linear.has('g_idx') && linear.shape('qweight')?.[0] === inFeatures,
  ],
  ['GPTQ', (linear) => linear.has('qweight')],
  ['bitsandbytes (4 bits)', (linear) => linear.has('weight.absmax') || linear.has('weight.quant_map')],
  ['bitsandbytes (8 bits)', (linear) => linear.has('SCB')],
  ['MLX', (linear) => linear.weightDtype === 'U32' && linear.has('scales')],
  ['compressed-tensors', (linear) => linear.has('weight_packed')],
  ['HQQ', (linear) => linear.has('W_q')],
  ['AQLM', (linear) => linear.has('codebooks')],
  ['EXL2', (linear) => linear.has('q_weight')],
  ['EXL3', (linear) => linear.has('trellis')],
  ['QuIP#', (linear) => linear.has('Qidxs')],
  ['NVFP4', (linear) => linear.weightDtype === 'U8' && linear.has('weight_scale_2')],
  ['MXFP4', (linear) => linear.has('weight_blocks')],
  ['FP8', (linear) => linear.weightDtype?.startsWith('F8_') ?? false],
  [
    '8-bit integers without quant_model_description.json',
    (linear) => linear.weightDtype === 'I8' && linear.has('weight_scale'),
  ],
];

/** The method by which another tool quantised a linear of so many inputs; undefined for floats, and for what is not known. */
export const foreignMethod = (linear: ForeignLinear, inFeatures: number | undefined): string | undefined =>
  METHODS.find(([, sign]) => sign(linear, inFeatures))?.[0];
