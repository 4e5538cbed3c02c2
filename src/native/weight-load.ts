import type { DType, FloatDType } from '../dtype.js';

/** Some rows of a weight; the rows of one part follow those of the part before it (axis 0). */
export type WeightPart = FilePart | ConstantPart;

/**
 * How a tensor [r, c] of 32-bit words holds a matrix of integers: a word has 32 / bits of them, neighbours along an axis,
 * the first in its lowest bits. An integer is the unsigned number in these bits less `minus`.
 */
export interface PackedWords {
  /** 2: of bytes, along axis 0; these become integers of 8 bits. */
  readonly bits: 2 | 4 | 8;
  /** 0: the words of a column make a column; 1: those of a row make a row. */
  readonly axis: 0 | 1;
  /** Integers along that axis. The last word may hold fewer than the others. */
  readonly count: number;
  /** From 0 to 256. */
  readonly minus: number;
  /** Numbers are two's complement, which counts as numbers half their range larger; false when absent. */
  readonly signed?: boolean;
  /** 4 bits only: integer 0, 1, 2, … of a word is in place 0, 4, 1, 5, 2, 6, 3, 7. */
  readonly awq?: boolean;
}

/**
 * How bytes of a file hold floats: as places in a table, a byte each or, where the table has 16 numbers, two to a byte, the
 * first in its upper half, or with `lowFirst` in its lower one. Each `block` of numbers, counted through the tensor whatever
 * its rows are, has a scale. A number is table[code] * scale, rounded once to the dtype of its part.
 */
export interface CodedFloats {
  /** 16 or 256 numbers. */
  readonly table: Float32Array;
  readonly lowFirst?: boolean;
  readonly block: number;
  /** f32, a number for each block: of the file, one for all, or codes of 256 in their turn. It may have `times` and `plus`. */
  readonly scales: WeightPart;
}

/**
 * How a GGUF file holds the numbers of a tensor: in blocks of `type`, as `Q4_K`. Read are the numbers, f32; or, of each 32 of
 * them, integers, i8, and the scale and the minimum that they share, f32 [n, k / 32]: exactly, where a type has these for 32,
 * and to the nearest of 8 bits, without minimums, where it has not. `int4` are such integers from -8 to 7, of a type of 4
 * bits: less 8 where that has minimums.
 */
export interface StoredBlocks {
  readonly type: string;
  readonly content: 'numbers' | 'integers' | 'int4' | 'scales' | 'minimums';
}

/** A tensor of a file, or rows of it that follow one another. It may be changed while it is read. */
export interface FilePart {
  readonly file: string;
  /** Absolute offset of its first byte in the file. */
  readonly offset: number;
  readonly dtype: DType;
  /** In the file, before any change; of codes, that of their floats. */
  readonly shape: readonly number[];
  /** The tensor, of i32 or bytes, holds a matrix of smaller integers, which is meant by everything below. */
  readonly words?: PackedWords;
  /** The file has codes at `offset`: the floats of the tensor, which is meant by everything below, are made of them. */
  readonly codes?: CodedFloats;
  /** The file has f64 at `offset`: the tensor of f32, which is meant by everything below, is made of them, rounded once. */
  readonly doubles?: boolean;
  /** The file has such blocks at `offset`, of which the tensor, which is meant by everything below, is made. */
  readonly blocks?: StoredBlocks;
  /**
   * The file holds a matrix [k, n], and its transpose [n, k] is wanted. Refused for 4-bit integers: a byte holds two
   * neighbours of a row.
   */
  readonly transposed?: boolean;
  /** Row i of the part is row rowOrder[i] of the tensor, or of its transpose where that is wanted. Rows may repeat. */
  readonly rowOrder?: Int32Array;
  /** The tensor, of i8, has an integer of 4 bits, from -8 to 7, in each byte, and not two. */
  readonly unpaired?: true;
  /** Of words only: number i of a row is number columnOrder[i] of the row that the words hold. */
  readonly columnOrder?: Int32Array;
  /** Each row is divided by its length, its Euclidean norm, which counts as 1e-12 where it is less. Floats only. */
  readonly unitRows?: boolean;
  /** Then each number x becomes times * x + plus: in f32, and rounded once, after it. For what becomes floats; 1 and 0 when absent. */
  readonly times?: number;
  /** Plain floats, one for each row of the tensor, which all of it is multiplied with; for what becomes f32. Nothing is added then. */
  readonly rowFactors?: FilePart;
  readonly plus?: number;
  readonly value?: undefined;
}

/** Rows in no file: every element is `value`. */
export interface ConstantPart {
  readonly value: number;
  readonly dtype: FloatDType;
  readonly shape: readonly number[];
  readonly file?: undefined;
  readonly offset?: undefined;
}

/** How integers, or floats of few bits, stand for numbers: each number is about scale * integer. Offsets are zero. */
export interface IntegerForm {
  readonly bits: 8 | 4;
  /** `floats`: parts of e4m3, or of u8 with two e2m1 codes to a byte, the first in the lower half. Integers when absent. */
  readonly numbers?: 'floats';
  /** Input channels that share a scale: a multiple of 32 up to 1024, the last group of a row may be shorter. 0: all of them. */
  readonly groupSize: number;
  /** What they will be multiplied by. `int8` with 8 bits (W8A8MatMul) wants no groups. */
  readonly activations: 'float' | 'int8';
}

/** How a weight becomes, or is, integers. */
export interface WeightQuantize extends IntegerForm {
  /**
   * Where the scales go, f32 [n, groups]. Parts of integers (i8 or u8) have theirs in files: then another load of the same
   * call has this name, dtype f32, shape [n, groups] and layout `plain`.
   */
  readonly scaleName: string;
  /**
   * Of integers that are in files: another load of the same call, f32 [n, groups] of whole numbers, layout `plain`, brings
   * what is added to them, so that a weight is scale * (integer + offset). Not of 8 bits with int8 activations.
   */
  readonly offsetName?: string;
  /**
   * That load brings minimums, any numbers: a weight is scale * integer - minimum, of 4 bits scale * (integer + 8) - minimum.
   */
  readonly areMinimums?: boolean;
}

/** A weight to load under `name`; converted to `dtype`, then laid out. */
export interface WeightLoad {
  readonly name: string;
  /** With `quantize` of no account: the result is i8. */
  readonly dtype: DType;
  /**
   * Of the parts together, after their changes. With `quantize` they are floats or words [n, k], or integers [n, k], 4-bit
   * ones that are not `unpaired` [n, k / 2] with two to a byte, the first in the lower half; the result is [n, k], or [n, k / 2] with 4 bits.
   */
  readonly shape: readonly number[];
  /** `plain`: row-major. `linear`: packed for matrix products. `linear-interleaved`: packed, the two parts' panels alternating. */
  readonly layout: 'plain' | 'linear' | 'linear-interleaved';
  readonly parts: readonly WeightPart[];
  /** Wants a packed layout. */
  readonly quantize?: WeightQuantize;
}
