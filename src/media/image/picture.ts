/** A picture of 8-bit RGB, rows from the top. */
export interface Picture {
  /** In pixels, at least 1. */
  readonly width: number;
  readonly height: number;
  /** [height, width, 3] */
  readonly data: Uint8Array;
}

/** A size in pixels. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
}
