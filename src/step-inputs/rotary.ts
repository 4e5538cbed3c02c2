import type { FloatDType, Tensor } from '../dtype.js';
import type { TensorDesc } from '../graph/infer-shapes.js';
import { int64 } from './integers.js';
import { requireWithin } from './positions.js';
import type { InputRecipe } from './recipe.js';
import { rotaryRecipe } from './rotary/frequencies.js';
import { isLengthDependent, type RopeConfig } from './rotary/rope-config.js';
import { fullRopeTable, ropeTable } from './rotary/rope-table.js';
import type { Step } from './step.js';
import type { StepInput } from './step-input.js';

/** The graph inputs of one rotary embedding: its tables, [positions, headDim] in the model's dtype. */
export interface RotaryTables {
  readonly rope: RopeConfig;
  readonly cos: string;
  readonly sin: string;
}

/** The tables of a model's rotary embedding. */
export const rotaryTables = (rope: RopeConfig): RotaryTables => ({
  rope,
  cos: 'cos_table',
  sin: 'sin_table',
});

/** Those of its layers with a window, where these have a rotary embedding of their own. */
export const slidingRotaryTables = (rope: RopeConfig): RotaryTables => ({
  rope,
  cos: 'sliding_cos_table',
  sin: 'sliding_sin_table',
});

/**
 * `position_ids` i64 [tokens], and the tables whose rows they choose: `cos_table` and `sin_table`, or those of several
 * rotary embeddings in one model. Tables of all positions are made once for the run. Where cos and sin depend on the
 * length of a sequence ("dynamic", "longrope"), each step brings the rows of its own tokens, in their order. They are
 * described as ATB takes them, in the model's dtype; our engine reads them in f32, too, and gets those of `keepsF32` so.
 */
export function rotary(rope: RopeConfig, others: readonly RotaryTables[] = []): StepInput {
  const tables = [rotaryTables(rope), ...others];
  const isPerStep = tables.some((table) => isLengthDependent(table.rope));
  const names = ['position_ids', ...tables.flatMap(({ cos, sin }) => [cos, sin])];
  return {
    names,
    dependsOnPromptLen: isPerStep,
    describe({ rows, dtype, maxPositionEmbeddings }) {
      const position_ids: TensorDesc = { dtype: 'i64', shape: [rows] };
      const descs = tables.flatMap((table): [string, TensorDesc][] => {
        const desc: TensorDesc = { dtype, shape: [maxPositionEmbeddings, table.rope.headDim] };
        return [
          [table.cos, desc],
          [table.sin, desc],
        ];
      });
      return { position_ids, ...Object.fromEntries(descs) };
    },
    recipes() {
      const recipes: Record<string, InputRecipe> = {
        position_ids: { made: isPerStep ? 'row_numbers' : 'positions' },
      };
      for (const table of tables) {
        const recipe = rotaryRecipe(table.rope);
        recipes[table.cos] = { made: 'rotary', part: 'cos', ...recipe };
        recipes[table.sin] = { made: 'rotary', part: 'sin', ...recipe };
      }
      return recipes;
    },
    hold({ maxPositionEmbeddings, numBlocks, blockSize, dtype }) {
      if (isPerStep) return {};
      // No sequence is longer than the whole cache.
      const length = Math.min(maxPositionEmbeddings, numBlocks * blockSize);
      return byName(tables, ({ rope }) => fullRopeTable(rope, length, tableDType(rope, dtype)));
    },
    make(step, run) {
      if (!isPerStep) {
        requireWithin(step, run);
        return { position_ids: int64(step.positions) };
      }
      const promptLens = promptLenOfTokens(step);
      return {
        position_ids: int64(Int32Array.from(step.positions.keys())),
        ...byName(tables, ({ rope }) =>
          ropeTable(rope, step.positions, tableDType(rope, run.dtype), promptLens),
        ),
      };
    },
  };
}

const tableDType = ({ keepsF32 }: RopeConfig, dtype: FloatDType): FloatDType => (keepsF32 ? 'f32' : dtype);

function byName(
  tables: readonly RotaryTables[],
  make: (table: RotaryTables) => { readonly cos: Tensor; readonly sin: Tensor },
): Record<string, Tensor> {
  const named: Record<string, Tensor> = {};
  for (const table of tables) {
    const { cos, sin } = make(table);
    named[table.cos] = cos;
    named[table.sin] = sin;
  }
  return named;
}

/** [tokens]: the length of the prompt that each token's sequence began with. */
function promptLenOfTokens({ queryLens, promptLens, positions }: Step): Int32Array {
  const lens = new Int32Array(positions.length);
  let at = 0;
  for (let row = 0; row < queryLens.length; row++) {
    const end = at + (queryLens[row] as number);
    lens.fill(promptLens[row] as number, at, end);
    at = end;
  }
  return lens;
}
