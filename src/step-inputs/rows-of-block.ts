/** Caches hold rows in groups of so many (native/src/kernels/kv_layout.h, kMinBlockSize). */
const GROUP = 32;

/** Rows of a block of `blockSize` tokens in a cache that has a row for every `tokensPerRow` of them. */
export const rowsOfBlock = (blockSize: number, tokensPerRow = 1): number =>
  tokensPerRow === 1 ? blockSize : Math.ceil(blockSize / tokensPerRow / GROUP) * GROUP;
