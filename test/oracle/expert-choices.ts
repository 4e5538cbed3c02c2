import type { ModelRunner } from '../../src/runner/model-runner.js';
import type { ExpertsOfPrompt } from './families.js';

interface SparseConfig {
  readonly modelType: string;
  readonly numHiddenLayers: number;
  readonly numExpertsPerToken?: number;
  readonly sparseLayers?: readonly boolean[];
  /** What each layer does, where that is one thing. */
  readonly mixers?: readonly string[];
}

/** Of families whose layers have several routers, what these are called before what they compute. */
const ROUTERS: Readonly<Record<string, readonly string[]>> = { jetmoe: ['attention_router_', ''] };

/** What each router of each layer with any computed under a name, [tokens, width]. */
async function ofRouters(runner: ModelRunner, prompt: Int32Array, name: string): Promise<Matrix[]> {
  const config = runner.config as unknown as SparseConfig;
  const routers = ROUTERS[config.modelType] ?? [''];
  const { numHiddenLayers, mixers = [] } = config;
  const ofSteps = mixers.includes('moe') ? mixers.map((mixer) => mixer === 'moe') : undefined;
  const { sparseLayers = ofSteps } = config;
  const layers = Array.from({ length: numHiddenLayers }, (_, layer) => layer);
  const paths = layers
    .filter((layer) => sparseLayers?.[layer] ?? true)
    .flatMap((layer) => routers.map((router) => `layer_${layer}/${router}${name}`));
  const { tensors } = await runner.trace(prompt, paths);
  return paths.map((path) => {
    const { data, shape } = tensors[path] as { data: ArrayLike<number>; shape: readonly number[] };
    return { flat: Array.from(data), width: shape[1] ?? 1 };
  });
}

interface Matrix {
  readonly flat: readonly number[];
  readonly width: number;
}

/** The experts of each token in each layer with a router, [layers][tokens], each as `1,4,5`. */
export async function chosenExperts(runner: ModelRunner, prompt: Int32Array): Promise<string[][]> {
  const chosen = await ofRouters(runner, prompt, 'chosen_experts');
  return chosen.map(({ flat, width }) => choicesOf(flat, width));
}

/** The least by which a score that a token's experts were chosen by was above the best of the others. */
export async function closestChoice(
  runner: ModelRunner,
  prompt: Int32Array,
  scores: string,
): Promise<number> {
  const { numExpertsPerToken: top = 1 } = runner.config as SparseConfig;
  const layers = await ofRouters(runner, prompt, scores);
  const gaps = layers.flatMap(({ flat, width }) =>
    Array.from({ length: flat.length / width }, (_, token) => {
      const ranked = flat.slice(token * width, (token + 1) * width).sort((a, b) => b - a);
      return (ranked[top - 1] ?? 0) - (ranked[top] ?? 0);
    }),
  );
  return Math.min(...gaps);
}

/** The same of a reference. */
export function recordedExperts({
  shape: [layers = 0, tokens = 0, top = 1],
  chosen,
}: ExpertsOfPrompt): string[][] {
  return Array.from({ length: layers }, (_, layer) =>
    choicesOf(chosen.slice(layer * tokens * top, (layer + 1) * tokens * top), top),
  );
}

/** Rows of `top` numbers without their order, which transformers leaves open in some families. */
const choicesOf = (flat: readonly number[], top: number): string[] =>
  Array.from({ length: flat.length / top }, (_, at) =>
    flat
      .slice(at * top, (at + 1) * top)
      .sort((a, b) => a - b)
      .join(),
  );

/** For each token, whether all layers chose the same experts for it. */
export const choosesAlike = (found: readonly string[][], expected: readonly string[][]): boolean[] =>
  (expected[0] ?? []).map((_, token) => expected.every((layer, at) => found[at]?.[token] === layer[token]));
