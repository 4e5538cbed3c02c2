import { type ConfigOf, defineConfig } from '../../layers/config/index.js';
import type { QkvNames } from '../../layers/linear/projections.js';
import { registerModel, routerOf } from '../../router/index.js';
import { groupedRows, type PackedRows } from '../../weights/row-orders.js';
import type { Weights } from '../../weights/weights.js';
import { FlashGptJForCausalLMATB, GPTJ_HEAD, gptjFields } from '../gptj/index.js';

/** CodeGen was trained on so many devices, each of which kept a quarter of the heads. */
const SHARDS = 4;

const CODEGEN_CONFIG = defineConfig({
  fields: gptjFields({ keepsF32: true }),
  irrelevant: { n_ctx: 'rotary embedding knows no longest context; n_positions is that of training' },
});
type CodeGenConfig = ConfigOf<typeof CODEGEN_CONFIG>;

/** Queries, values and keys of each quarter of the heads in turn. */
function packing({ numAttentionHeads: heads, headDim }: CodeGenConfig): QkvNames {
  const own = heads / SHARDS;
  const [q, v, k] = groupedRows({ groups: SHARDS, headsPerGroup: [own, own, own], headDim }) as [
    PackedRows,
    PackedRows,
    PackedRows,
  ];
  return { packed: 'qkv_proj', rows: [q, k, v] };
}

/** GPT-J whose projections are packed as they were trained (arXiv:2203.13474). */
export class FlashCodeGenForCausalLMATB extends FlashGptJForCausalLMATB {
  override readonly name = 'codegen';

  constructor(config: CodeGenConfig, weights: Weights) {
    super(config, weights, packing(config));
  }
}

export const CodeGenRouter = routerOf(CODEGEN_CONFIG, FlashCodeGenForCausalLMATB, {
  headNames: GPTJ_HEAD,
  harmlessTensors: [/\.attn\.causal_mask$/],
  about: {
    kind: 'positions',
    features: ['as gptj', 'q, v and k packed by quarters of the heads'],
    reference: 'transformers',
  },
});
registerModel('codegen', CodeGenRouter);
