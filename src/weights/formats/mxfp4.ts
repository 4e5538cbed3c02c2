import type { RowReader } from '../quantization.js';
import { rowsInTurn } from '../row-orders.js';
import { expertOf, flattened, withRowOrder } from '../weight-changes.js';
import type { TensorRef } from '../weights.js';
import { ConfigFields } from './config-fields.js';
import type { FormatSource, OpenFormat, QuantFormat } from './format.js';
import { asScales } from './small-floats.js';

/**
 * Floats of 4 bits (e2m1) with a power of two for each 32 of a row, as gpt-oss has them (OCP, "Microscaling formats"). A
 * linear has `weight_blocks` u8 [n, k / 32, 16], of which a byte holds two numbers, the first in its lower half, and
 * `weight_scales` u8 [n, k / 32]. Experts are stacked: `experts.gate_up_proj_blocks` [experts, 2 * width, k / 32, 16], the
 * rows of gate and up in turn, `experts.down_proj_blocks`, and their `_scales`. They stay 4 bits in memory.
 */
export const mxfp4: QuantFormat = { methods: ['mxfp4'], open };

const GROUP = 32;
const BLOCK_BYTES = GROUP / 2;

async function open(source: FormatSource): Promise<OpenFormat | undefined> {
  const { config, tensors } = source;
  if (config?.quant_method !== 'mxfp4') return undefined;
  const fields = new ConfigFields(source, config);
  return {
    method: 'mxfp4',
    file: fields.file,
    stamps: [],
    quantOf({ name, tensor }) {
      const place = expertPlace(name);
      if (tensors === undefined) return place && { desc: 'FP4', groupSize: GROUP };
      if (tensor('weight_blocks')) return { desc: 'FP4', groupSize: GROUP, rows: linearRows };
      const stack = place && tensors.get(`${place.stem}${place.tensor}_blocks`);
      return stack && { desc: 'FP4', groupSize: GROUP, rows: expertRows(stack.shape[0] ?? 0) };
    },
  };
}

const linearRows: RowReader = (weights, { name, outFeatures: n, inFeatures: k }) => ({
  weight: flattened(weights.get(`${name}.weight_blocks`, [n, k / GROUP, BLOCK_BYTES])),
  scale: asScales(weights.get(`${name}.weight_scales`, [n, k / GROUP])),
});

/** Where the projection of an expert lies. */
interface ExpertPlace {
  /** What comes before the name of the stack. */
  readonly stem: string;
  readonly expert: number;
  /** The stack: `gate_up_proj`. */
  readonly tensor: string;
  /** Which of two rows that follow one another is its own; undefined where all are. */
  readonly turn: 0 | 1 | undefined;
}

function expertPlace(linear: string): ExpertPlace | undefined {
  const [, stem = '', expert, projection] = /^(|.*\.)(\d+)\.(gate|up|down)_proj$/.exec(linear) ?? [];
  if (projection === undefined) return undefined;
  const turn = projection === 'gate' ? 0 : projection === 'up' ? 1 : undefined;
  return {
    stem,
    expert: Number(expert),
    tensor: projection === 'down' ? 'down_proj' : 'gate_up_proj',
    turn,
  };
}

const expertRows =
  (experts: number): RowReader =>
  (weights, { name, outFeatures, inFeatures: k }) => {
    const { stem, expert, tensor, turn } = expertPlace(name) as ExpertPlace;
    const rows = turn === undefined ? outFeatures : 2 * outFeatures;
    const own = (suffix: string, inner: readonly number[]): TensorRef =>
      expertOf(weights.get(`${stem}${tensor}_${suffix}`, [experts, rows, ...inner]), expert);
    const inTurn = (ref: TensorRef): TensorRef =>
      turn === undefined ? ref : withRowOrder(ref, rowsInTurn(turn, outFeatures));
    return {
      weight: inTurn(flattened(own('blocks', [k / GROUP, BLOCK_BYTES]))),
      scale: inTurn(asScales(own('scales', [k / GROUP]))),
    };
  };
