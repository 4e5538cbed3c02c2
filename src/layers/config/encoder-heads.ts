import { integer } from './checks.js';
import type { Field } from './fields.js';

/** How heads of an encoder lie in its rows. */
export interface EncoderHeads {
  /** What config.json calls the size of a row; `hidden_size` when absent. */
  readonly width?: string;
  /** The size of a head must be a multiple of this, 4 where heads turn by two axes; 1 when absent. */
  readonly multiple?: number;
}

/**
 * The heads of an encoder of pictures or sound, by their name in config.json: equal pieces of a row of `hiddenSize`.
 */
export const encoderHeads = (
  name: string | readonly string[],
  fallback: number,
  { width = 'hidden_size', multiple = 1 }: EncoderHeads = {},
): Field<number, { readonly hiddenSize: number }> => ({
  read(json, { hiddenSize }) {
    const heads = json.value(name, integer(1, 10_000)) ?? fallback;
    if (hiddenSize % (heads * multiple) === 0) return heads;
    const sizes = multiple === 1 ? 'equal heads' : `heads whose size is a multiple of ${multiple}`;
    const said = [name].flat().find((each) => json.raw(each) !== undefined) ?? [name].flat()[0];
    return json.fail(`${said} must cut ${width} (${hiddenSize}) into ${sizes}, found ${heads}`);
  },
});
