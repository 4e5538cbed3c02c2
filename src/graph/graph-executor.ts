import type { Tensor } from '../dtype.js';
import type { GraphSpec } from './graph-spec.js';

export type Tensors = Readonly<Record<string, Tensor>>;

/** What can run a graph once on plain tensors. The native engine is one; src/graph knows none by name. */
export interface GraphExecutor {
  /** `intermediates` names inner tensors to hand back ("layer_3/attn_out"). */
  forward(
    spec: GraphSpec,
    inputs: Tensors,
    intermediates: readonly string[],
  ): Promise<{ readonly outputs: Tensors; readonly intermediates: Tensors }>;
}
