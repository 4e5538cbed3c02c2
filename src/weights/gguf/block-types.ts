/** How GGUF files hold numbers of a type: so many of them in a block of so many bytes. */
export interface GgufType {
  /** As GGUF calls it; of floats, as safetensors does, too. */
  readonly name: string;
  readonly numbers: number;
  readonly bytes: number;
  /** Blocks that hold scales of their own, not plain floats or integers: how the engine multiplies by them. */
  readonly quantised?: GgufIntegers;
}

/** The integers that stand for each 32 numbers (native/src/weights/gguf_blocks.cpp). */
export interface GgufIntegers {
  readonly bits: 4 | 8;
  /** Numbers are scale * integer - minimum. */
  readonly hasMinimum: boolean;
  /** How scales and minimums are stored: as f16, or as an f16 for each block times a small integer. */
  readonly scales: 'halves' | 'steps' | 'scales';
}

const plain = (name: string, bytes: number): GgufType => ({ name, numbers: 1, bytes });
const blocks = (
  name: string,
  numbers: number,
  bytes: number,
  { bits = 8, hasMinimum = false, scales = 'halves' }: Partial<GgufIntegers> = {},
): GgufType => ({ name, numbers, bytes, quantised: { bits, hasMinimum, scales } });

/** The types that are read, by their numbers in the files (ggml_type of ggml.h). */
const TYPES: ReadonlyMap<number, GgufType> = new Map([
  [0, plain('F32', 4)],
  [1, plain('F16', 2)],
  [2, blocks('Q4_0', 32, 18, { bits: 4 })],
  [3, blocks('Q4_1', 32, 20, { bits: 4, hasMinimum: true })],
  [6, blocks('Q5_0', 32, 22)],
  [7, blocks('Q5_1', 32, 24, { hasMinimum: true })],
  [8, blocks('Q8_0', 32, 34)],
  [10, blocks('Q2_K', 256, 84, { scales: 'steps' })],
  [11, blocks('Q3_K', 256, 110, { scales: 'steps' })],
  [12, blocks('Q4_K', 256, 144, { bits: 4, hasMinimum: true, scales: 'steps' })],
  [13, blocks('Q5_K', 256, 176, { hasMinimum: true, scales: 'steps' })],
  [14, blocks('Q6_K', 256, 210, { scales: 'steps' })],
  [20, blocks('IQ4_NL', 32, 18)],
  [23, blocks('IQ4_XS', 256, 136, { scales: 'steps' })],
  [28, plain('F64', 8)],
  [30, plain('BF16', 2)],
  [39, blocks('MXFP4', 32, 17, { scales: 'scales' })],
]);

/** Types that are known by name alone. */
const OTHER_NAMES: ReadonlyMap<number, string> = new Map([
  [9, 'Q8_1'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [29, 'IQ1_M'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [40, 'NVFP4'],
  [41, 'Q1_0'],
]);

export const ggufType = (id: number): GgufType | undefined => TYPES.get(id);

/** What a type that is not read is called. */
export const ggufTypeName = (id: number): string => OTHER_NAMES.get(id) ?? `type ${id}`;

export const GGUF_TYPE_NAMES: readonly string[] = [...TYPES.values()].map(({ name }) => name);

/** A type by its name; undefined for one that is not read. */
export const ggufTypeNamed = (name: string): GgufType | undefined =>
  [...TYPES.values()].find((type) => type.name === name);
