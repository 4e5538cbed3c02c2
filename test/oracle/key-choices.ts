import type { ModelRunner } from '../../src/runner/model-runner.js';
import type { KeysOfPrompt } from './families.js';

/** For each layer, the one whose indexer chooses its keys; or what its queries attend to beside a window. */
interface Choosing {
  readonly indexOwners?: readonly number[];
  readonly entryUses?: readonly string[];
}

/** The keys that each query attends to in each layer with an indexer, [indexers][tokens], each as `0,4,17`. */
export async function chosenKeys(runner: ModelRunner, prompt: Int32Array): Promise<string[][]> {
  const { indexOwners, entryUses = [] } = runner.config as unknown as Choosing;
  const choosing = [...entryUses.keys()].filter((layer) => entryUses[layer] === 'chosen');
  const owners = [...new Set(indexOwners ?? choosing)];
  const paths = owners.map((layer) => `layer_${layer}/chosen_keys`);
  const { tensors } = await runner.trace(prompt, paths);
  return paths.map((path) => {
    const { data, shape } = tensors[path] as { data: ArrayLike<number>; shape: readonly number[] };
    const [flat, most = 1] = [Array.from(data), shape[1]];
    return Array.from({ length: flat.length / most }, (_, token) =>
      flat
        .slice(token * most, (token + 1) * most)
        .filter((position) => position >= 0)
        .join(),
    );
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
