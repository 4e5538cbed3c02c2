import type { FloatDType, Tensor } from '../dtype.js';
import type { GraphKind } from '../graph/graph-kind.js';
import type { TensorDesc } from '../graph/infer-shapes.js';
import type { InputRecipe } from './recipe.js';
import type { Step } from './step.js';

/** What stays the same from step to step of one run. */
export interface RunFacts {
  /** Of weights and activations. */
  readonly dtype: FloatDType;
  /** Tokens of a block of the KV cache. */
  readonly blockSize: number;
  /** Blocks of the KV cache. */
  readonly numBlocks: number;
  /** Positions that the model may be given. */
  readonly maxPositionEmbeddings: number;
}

/** The sizes of one step, for descriptions of its inputs. */
export interface StepSizes {
  readonly kind: GraphKind;
  readonly dtype: FloatDType;
  /** Sequences. */
  readonly batch: number;
  /** Rows of the step: its tokens. */
  readonly rows: number;
  /** Tokens of the step that are no words, whose rows an encoder made; up to `rows`, which it is when absent. */
  readonly insertedRows?: number;
  /** Rows whose logits are wanted. */
  readonly headRows: number;
  /** Tokens of the longest sequence that the step may see. */
  readonly contextLen: number;
  /** Blocks of each sequence's table. */
  readonly blocks: number;
  /** Tokens of a block. */
  readonly blockSize?: number;
  /** Positions that the model may be given. */
  readonly maxPositionEmbeddings: number;
}

/** On what of its prompt a block of the cache depends beside its tokens, as step inputs say of themselves. */
export interface PrefixFacts {
  readonly dependOnPromptLen: boolean;
  readonly dependOnInserts: boolean;
  readonly dependOnAdapters: boolean;
}

export const prefixFacts = (inputs: readonly StepInput[]): PrefixFacts => ({
  dependOnPromptLen: inputs.some(({ dependsOnPromptLen }) => dependsOnPromptLen),
  dependOnInserts: inputs.some(({ dependsOnInserts }) => dependsOnInserts),
  dependOnAdapters: inputs.some(({ dependsOnAdapter }) => dependsOnAdapter),
});

/**
 * One input of a step, or a few that belong together: their names in graphs, and how they are made. A model lists the
 * ones that its graphs may read (`stepInputs`); a runner makes those that a graph does read, and knows none by name.
 */
export interface StepInput {
  /** The graph inputs that this provides. */
  readonly names: readonly string[];
  /** dtype and shape of each, by name. */
  describe(sizes: StepSizes): Readonly<Record<string, TensorDesc>>;
  /** What it makes of a token depends on the length of the prompt: blocks of the cache are not shared among lengths. */
  readonly dependsOnPromptLen?: boolean;
  /** What it makes of any token depends on whether the prompt shows something: neither shares blocks with the other. */
  readonly dependsOnInserts?: boolean;
  /** What it makes of any token depends on the request's adapter: no two share blocks. */
  readonly dependsOnAdapter?: boolean;
  /** How each is made, as data: what `atb-models export` writes. Without it a program must know the input by name. */
  recipes?(kind: GraphKind): Readonly<Record<string, InputRecipe>>;
  /** Those that stay for the whole run, by name. They are handed to the engine once. */
  hold?(run: RunFacts): Readonly<Record<string, Tensor>>;
  /** The others, for one step. Throws REQUEST_INVALID for a step that cannot be. */
  make?(step: Step, run: RunFacts): Readonly<Record<string, Tensor>>;
}
