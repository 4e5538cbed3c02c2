// The package is a UMD file without types. Only what we use: a parser of headers (see safetensors-file.ts for what it does not do).
declare module 'safetensors' {
  interface HeaderEntry {
    readonly dtype: string;
    readonly shape: number[];
    /** Absolute: 8 + the header's length is added already. */
    readonly data_offsets: [begin: number, end: number];
  }
  class SafeTensor {
    constructor(buffer: Uint8Array);
    readonly metadata: Map<string, HeaderEntry>;
  }
  const safetensors: { readonly SafeTensor: typeof SafeTensor };
  export default safetensors;
}
