import { expect } from 'chai';
import { PREFILL } from '../../src/graph/graph-kind.js';
import { BlockManager } from '../../src/kv-cache/block-manager.js';
import type { Insert } from '../../src/media/index.js';
import type { ModelRunner } from '../../src/runner/model-runner.js';
import { Sequence } from '../../src/scheduler/sequence.js';

/** Logits [prompt, vocab] of a whole prompt in one prefill step. `adapter`: the place of its LoRA adapter. */
export async function promptLogits(
  runner: ModelRunner,
  prompt: Int32Array,
  inserts: readonly Insert[] = [],
  adapter?: number,
): Promise<Float32Array> {
  const blocks = new BlockManager({ numBlocks: runner.numBlocks, blockSize: runner.blockSize });
  const sequence = new Sequence({ id: 1, promptTokens: prompt, maxTokens: 1, inserts, adapter });
  blocks.grow(sequence.blockTable, prompt.length);
  const { logits } = await runner.run(
    {
      kind: PREFILL,
      entries: [
        {
          sequence,
          start: 0,
          count: prompt.length,
          sample: false,
          scores: true,
          encodes: inserts,
        },
      ],
    },
    { logits: true },
  );
  return (logits as { data: Float32Array }).data;
}

/** The smallest cosine similarity of two matrices' rows. */
export function smallestCosine(a: Float32Array, b: Float32Array, width: number): number {
  expect(a.length).to.equal(b.length);
  let smallest = 1;
  for (let row = 0; row < a.length; row += width) {
    let [dot, aa, bb] = [0, 0, 0];
    for (let i = row; i < row + width; i++) {
      const [x, y] = [a[i] as number, b[i] as number];
      dot += x * y;
      aa += x * x;
      bb += y * y;
    }
    smallest = Math.min(smallest, dot / Math.sqrt(aa * bb));
  }
  return smallest;
}

/** The largest difference of two numbers at the same place. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).to.equal(b.length);
  return a.reduce((max, value, i) => Math.max(max, Math.abs(value - (b[i] as number))), 0);
}
