import type { OpDefinition } from './definition.js';
import type { ATB_OPS, EXTENSION_OPS } from './table.js';

type Definitions = (typeof ATB_OPS)[number] | (typeof EXTENSION_OPS)[number];

/** The param of each operation of the table, as its own file types it. */
type TableParams = {
  readonly [D in Definitions as D['type']]: D extends OpDefinition<string, infer P> ? P : never;
};

/**
 * The params of all operations, by type. An operation of your own is added by declaration merging, and made known at run
 * time by `registerOp`:
 *
 *     declare module 'atb-models' {
 *       interface AtbOpParams {
 *         Clamp: { readonly min: number; readonly max: number };
 *       }
 *     }
 */
export interface AtbOpParams extends TableParams {}

export type AtbOpType = keyof AtbOpParams;
