import { expect } from 'chai';
import { PREFILL } from '../../src/graph/graph-kind.js';
import { loadModels } from '../../src/models/get-model.js';
import { getRouter } from '../../src/router/index.js';
import { declaredWeights } from '../../src/weights/weights.js';

/** Of five layers all but the second have a transformer, which is one of two. */
const ZAMBA2 = {
  ...{ model_type: 'zamba2', vocab_size: 131, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 5 },
  ...{ num_attention_heads: 4, num_key_value_heads: 4, attention_head_dim: 32, max_position_embeddings: 256 },
  ...{ n_mamba_heads: 4, mamba_headdim: 32, mamba_d_state: 16, mamba_ngroups: 1, mamba_expand: 2 },
  layers_block_type: ['hybrid', 'mamba', 'hybrid', 'hybrid', 'hybrid'],
  ...{ num_mem_blocks: 2, adapter_rank: 16, use_mem_rope: true },
};

describe('weights that layers share', () => {
  it('are those of the layer that has them, in turns: Zamba2', async () => {
    await loadModels();
    const Router = getRouter('zamba2');
    const model = new Router('', ZAMBA2).createModel(declaredWeights('f32'));
    const norm = /\.(\d+)\.shared_transformer\.input_layernorm\.weight$/;
    const ownerOf = (inputs: readonly string[]): string | undefined =>
      inputs.map((name) => norm.exec(name)?.[1]).find((owner) => owner !== undefined);
    const layers = model
      .buildGraph(PREFILL)
      .nodes.flatMap(({ op, inputs }) => ('graph' in op ? [inputs] : []));
    const owners = layers.map(ownerOf).filter((owner) => owner !== undefined);
    expect(owners).to.deep.equal(['0', '2', '0', '2']);
    const held = model.getWeights().map(({ name }) => norm.exec(name)?.[1]);
    expect(held.filter((owner) => owner !== undefined)).to.deep.equal(['0', '2']);
  });
});
