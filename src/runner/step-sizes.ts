import { type GraphKind, hasOneQuery } from '../graph/graph-kind.js';
import type { NativeEngine } from '../native/index.js';
import type { RunFacts, StepSizes } from '../step-inputs/index.js';
import type { LargestStep } from './runner-options.js';
import type { ServedInputs } from './served-inputs.js';

/** The largest step of a graph. */
export function largestSizes(
  kind: GraphKind,
  { tokens, batch, context, guesses = 0 }: LargestStep,
  { dtype, blockSize, maxPositionEmbeddings }: Omit<RunFacts, 'numBlocks'>,
): StepSizes {
  const rows = hasOneQuery(kind) ? batch : Math.min(tokens, batch * context);
  const wanted = kind.readsCache ? batch * (1 + guesses) : batch;
  return {
    kind,
    dtype,
    batch: Math.min(batch, rows),
    rows,
    headRows: Math.min(wanted, rows),
    contextLen: kind.readsCache ? context : Math.min(context, rows),
    // Tables are as wide as the next power of two (src/step-inputs/paging.ts).
    blockSize,
    blocks: 2 ** Math.ceil(Math.log2(Math.ceil(context / blockSize))),
    maxPositionEmbeddings,
  };
}

/** Has memory planned for the largest steps. Those of an encoder are as large as what is encoded. */
export async function reserveSteps(
  engine: NativeEngine,
  graphIds: ReadonlyMap<GraphKind, number>,
  inputs: ServedInputs,
  largest: LargestStep,
  run: RunFacts,
): Promise<void> {
  for (const [kind, id] of graphIds)
    if (kind.fillsCache) await engine.reserve(id, inputs.describe(largestSizes(kind, largest, run)));
}
