/** A block of MobileNet V5, which reads as many channels as the one before it gives. */
export type MobileBlock = {
  /** Channels that it gives. */
  readonly outSize: number;
} & (
  | {
      /** A convolution of all channels that widens them, and a product (arXiv:2003.02838). */
      readonly kind: 'er';
      readonly kernel: number;
      readonly stride: number;
      /** How many times as many channels stand in the middle. */
      readonly ratio: number;
    }
  | {
      /** Universal inverted bottleneck (arXiv:2404.10518, section 3). */
      readonly kind: 'uir';
      /** Kernels of the convolutions of each channel before the first product and in the middle; 0: there is none. */
      readonly start: number;
      readonly mid: number;
      readonly stride: number;
      readonly ratio: number;
    }
  | {
      /** Attention with one head of keys (arXiv:2404.10518, section 4). */
      readonly kind: 'mqa';
      readonly heads: number;
      readonly headDim: number;
      /** Of the convolution that makes keys and values of fewer rows, every so manieth along each side. */
      readonly kernel: number;
      readonly keyStride: number;
    }
);

const repeated = <T>(count: number, of: readonly T[]): T[] => Array.from({ length: count }, () => of).flat();

const edge = (stride: number): MobileBlock => ({ kind: 'er', kernel: 3, stride, ratio: 4, outSize: 128 });
const inverted =
  (outSize: number) =>
  (stride: number, ratio: number, start: number, mid = 0): MobileBlock => ({
    ...{ kind: 'uir', outSize, stride, ratio, start, mid },
  });
const attending = (outSize: number, heads: number, headDim: number, keyStride: number): MobileBlock => ({
  ...{ kind: 'mqa', outSize, heads, headDim, kernel: 3, keyStride },
});
const [second, third, fourth] = [inverted(256), inverted(640), inverted(1280)];

/** What timm calls mobilenetv5_300m_enc, by its stages. */
export const MOBILENET_V5_300M: readonly (readonly MobileBlock[])[] = [
  [edge(2), edge(1), edge(1)],
  [second(2, 6, 3, 5), ...repeated(2, [second(1, 4, 5), second(1, 4, 3)])],
  [
    third(2, 6, 5, 5),
    ...repeated(7, [third(1, 4, 5)]),
    third(1, 1, 0),
    ...repeated(14, [attending(640, 12, 64, 2), third(1, 2, 0)]),
  ],
  [fourth(2, 6, 5, 5), ...repeated(19, [attending(1280, 16, 96, 1), fourth(1, 2, 0)])],
];
