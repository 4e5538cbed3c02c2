import type { ModelRunner } from '../../src/runner/model-runner.js';
import type { KeysOfPrompt } from './families.js';

/**
 * For each layer, the one whose indexer chooses its keys; or what its queries attend to beside a window; or whether heads of
 * keys choose blocks, and how many.
 */
interface Choosing {
  readonly indexOwners?: readonly number[];
  /** Where some layers have linear attention, which ones have not. */
  readonly attends?: readonly boolean[];
  readonly entryUses?: readonly string[];
  readonly blockLayers?: readonly boolean[];
  readonly indexTopBlocks?: number;
}

/**
 * The keys that each query attends to in each layer with an indexer, [indexers][tokens], each as `0,4,17`; or the blocks,
 * [heads of indexers][tokens].
 */
export async function chosenKeys(runner: ModelRunner, prompt: Int32Array): Promise<string[][]> {
  const config = runner.config as unknown as Choosing;
  const { indexOwners, attends, entryUses = [], blockLayers, indexTopBlocks } = config;
  if (blockLayers) return chosenBlocks(runner, prompt, blockLayers, indexTopBlocks);
  const choosing = [...entryUses.keys()].filter((layer) => entryUses[layer] === 'chosen');
  const owners = [...new Set(indexOwners ?? choosing)].filter((layer) => attends?.[layer] ?? true);
  const paths = owners.map((layer) => `layer_${layer}/chosen_keys`);
  const { tensors } = await runner.trace(prompt, paths);
  return paths.map((path) => {
    const { data, shape } = tensors[path] as { data: ArrayLike<number>; shape: readonly number[] };
    return rowsOf(data, shape[1]);
  });
}

/** Rows of so many numbers, without those below 0. */
function rowsOf(data: ArrayLike<number>, most = 1): string[] {
  const flat = Array.from(data);
  return Array.from({ length: flat.length / most }, (_, row) =>
    flat
      .slice(row * most, (row + 1) * most)
      .filter((position) => position >= 0)
      .join(),
  );
}

async function chosenBlocks(
  runner: ModelRunner,
  prompt: Int32Array,
  blockLayers: readonly boolean[],
  most: number | undefined,
): Promise<string[][]> {
  const layers = [...blockLayers.keys()].filter((layer) => blockLayers[layer]);
  const paths = layers.map((layer) => `layer_${layer}/chosen_blocks`);
  const { tensors } = await runner.trace(prompt, paths);
  return paths.flatMap((path) => {
    const rows = rowsOf((tensors[path] as { data: ArrayLike<number> }).data, most);
    const heads = rows.length / prompt.length;
    return Array.from({ length: heads }, (_, head) => rows.filter((_row, at) => at % heads === head));
  });
}

/** The same of a reference. */
export function recordedKeys({ shape: [layers = 0, tokens = 0, bytes = 1], bits }: KeysOfPrompt): string[][] {
  return Array.from({ length: layers }, (_, layer) =>
    Array.from({ length: tokens }, (_token, token) => {
      const row = bits.slice((layer * tokens + token) * bytes, (layer * tokens + token + 1) * bytes);
      const isChosen = (key: number) => ((row[Math.floor(key / 8)] ?? 0) >> (key % 8)) & 1;
      return Array.from({ length: bytes * 8 }, (_key, key) => key)
        .filter(isChosen)
        .join();
    }),
  );
}
