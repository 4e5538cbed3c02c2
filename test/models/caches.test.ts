import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { type AtbGraph, BaseOperation, dim } from '../../src/graph/atb-graph.js';
import { DECODE, ENCODE, type GraphKind, PREFILL } from '../../src/graph/graph-kind.js';
import { BaseAttention } from '../../src/layers/attention/base-attention.js';
import type { CacheRef } from '../../src/layers/cache-ref.js';
import type { DecoderConfig } from '../../src/layers/config/index.js';
import { BaseLayer } from '../../src/layers/decoder/base-layer.js';
import { BaseRMSNorm } from '../../src/layers/norms/norms.js';
import { BaseModelATB } from '../../src/models/base/base-model-atb.js';
import { FlashForCausalLMATB } from '../../src/models/base/flash-for-causal-lm-atb.js';
import { loadModels } from '../../src/models/get-model.js';
import { LlamaAttention, LlamaLayer } from '../../src/models/llama/index.js';
import { createEngine } from '../../src/native/index.js';
import { getRouter } from '../../src/router/index.js';
import { declaredWeights, type Weights } from '../../src/weights/weights.js';
import { familyModel, llamaConfig } from './family-models.js';

/** Gemma 4's text with two layers that attend to what others keep. */
const GEMMA4 = {
  ...{ model_type: 'gemma4_text', vocab_size: 131, hidden_size: 64, intermediate_size: 96 },
  ...{ num_hidden_layers: 6, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 16 },
  ...{ num_kv_shared_layers: 2, vocab_size_per_layer_input: 131, hidden_size_per_layer_input: 32 },
  max_position_embeddings: 256,
  rope_parameters: {
    sliding_attention: { rope_type: 'default', rope_theta: 10_000 },
    full_attention: { rope_type: 'proportional', partial_rotary_factor: 0.25, rope_theta: 1_000_000 },
  },
};

/** A model of LLaMA's sizes whose layers are made by `layer`. */
class OneOfItsKind extends FlashForCausalLMATB {
  readonly name = 'one';
  protected readonly model: BaseModelATB;
  override readonly graphKinds: readonly GraphKind[];

  constructor(
    config: DecoderConfig,
    kinds: readonly GraphKind[],
    layer: (id: number, at: Weights) => BaseLayer,
  ) {
    const weights = declaredWeights('bf16');
    super(config, weights);
    this.graphKinds = kinds;
    const norm = new BaseRMSNorm(weights.at('norm'), config.hiddenSize, 1e-6);
    this.model = new BaseModelATB(config, weights.at('model'), { layer, norm });
  }
}

/** A layer that is nothing but its attention. */
class AttentionLayer extends BaseLayer {
  constructor(
    layerId: number,
    weights: Weights,
    private readonly attention: LatentAttention | BaseAttention,
  ) {
    super(layerId, weights);
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, hidden: string): string {
    return this.attention.buildGraph(graph, kind, hidden);
  }
}

/** Attention of every token to every other: an encoder's, which keeps nothing. */
class EncoderAttention extends LlamaAttention {
  constructor(layerId: number, config: DecoderConfig, weights: Weights) {
    super(layerId, config, weights, { isCausal: false });
  }
}

/** LLaMA's attention, over the cache of the layer before it in every second layer. */
class SharingAttention extends LlamaAttention {
  override caches(): CacheRef[] {
    const [own] = super.caches();
    if (!own || this.layerId % 2 === 0) return own ? [own] : [];
    const before = new LlamaAttention(this.layerId - 1, this.config, declaredWeights('bf16'));
    return before.caches();
  }
}

/** Reads a cache whose values are the first numbers of its keys, as multi-head latent attention does. */
class LatentAttention extends EncoderAttention {
  override caches(): CacheRef[] {
    const cache = { key: `layer_${this.layerId}_kv_cache`, heads: 1, keySize: 96, valueSize: 64 };
    return [{ cache, key: 'kv_cache' }];
  }

  override buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    graph.addReshape('kv_cache', 'latent_rows', [dim(0, 1, 2), dim(3)]);
    const rows = new BaseOperation('Slice', { offsets: [0, 0], size: [1, 1] }, 'latent');
    graph.addOperation(rows, ['latent_rows'], ['latent_out']);
    const attended = super.buildGraph(graph, kind, input);
    const add = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, 'sum');
    graph.addOperation(add, [attended, 'latent_out'], ['sum_out']);
    return 'sum_out';
  }
}

describe('the caches of a model', () => {
  const config = llamaConfig();

  it('are keys and values of each layer, as its attention says', async () => {
    const model = await familyModel('llama');
    expect(model.caches()).to.deep.equal(
      [0, 1, 2].map((layer) => ({
        key: `layer_${layer}_k_cache`,
        value: `layer_${layer}_v_cache`,
        heads: 2,
        keySize: 16,
        valueSize: 16,
      })),
    );
  });

  it('may be none: an encoder keeps nothing, and its graph names no cache', () => {
    const model = new OneOfItsKind(
      config,
      [ENCODE],
      (id, at) => new AttentionLayer(id, at, new EncoderAttention(id, config, at.at('self_attn'))),
    );
    expect(model.caches()).to.deep.equal([]);
    const spec = model.buildGraph(ENCODE);
    expect(spec.name).to.equal('one_encode_graph');
    const weights = model.getWeights().map(({ name }) => name);
    expect(spec.inputs.filter((name) => !weights.includes(name))).to.have.members([
      'input_ids',
      'position_ids',
      'cos_table',
      'sin_table',
      'seq_len',
      'lm_head_indices',
    ]);
    const [layer] = spec.nodes.flatMap(({ op }) => ('graph' in op ? [op.graph] : []));
    const types = layer?.nodes.flatMap(({ op }) => ('type' in op ? [op.type] : []));
    expect(types).to.deep.equal(['Linear', 'Split', 'Rope', 'SelfAttention', 'Linear']);
  });

  it('may be shared: two layers name one cache, which is allocated once', () => {
    const model = new OneOfItsKind(config, [PREFILL, DECODE], (id, at) => {
      const selfAttn = new SharingAttention(id, config, at.at('self_attn'));
      return new LlamaLayer(id, config, at, { selfAttn });
    });
    expect(model.caches().map(({ key }) => key)).to.deep.equal(['layer_0_k_cache', 'layer_2_k_cache']);
    const reads = model.buildGraph(DECODE).nodes.flatMap(({ op, inputs }) => {
      const cache = inputs.find((name) => /k_cache$/.test(name));
      return 'graph' in op ? [cache] : [];
    });
    expect(reads).to.deep.equal(['layer_0_k_cache', 'layer_0_k_cache', 'layer_2_k_cache']);
  });

  it('must agree where they are shared', () => {
    const model = new OneOfItsKind(config, [PREFILL], (id, at) => {
      const selfAttn = new LlamaAttention(0, { ...config, headDim: id === 1 ? 24 : 16 }, at.at('self_attn'));
      return new LlamaLayer(id, config, at, { selfAttn });
    });
    expect(() => model.caches())
      .to.throw(AtbError, /GRAPH_CACHE_MISMATCH: one: .*"layer_0_k_cache".*"keySize":16.*"keySize":24/)
      .with.property('code', 'GRAPH_CACHE_MISMATCH');
  });

  it("may be those of the last layer of the same kind that has its own, as Gemma 4's are", async () => {
    await loadModels();
    const [sliding, full] = ['sliding_attention', 'full_attention'];
    const says = { ...GEMMA4, layer_types: [sliding, sliding, full, full, sliding, full] };
    const model = new (getRouter('gemma4_text'))('', says).createModel(declaredWeights('bf16'));
    const cacheOf = (layer: number): string | undefined => {
      const node = model.buildGraph(DECODE).nodes.find(({ name }) => name === `layer_${layer}`);
      return node?.inputs.find((input) => input.endsWith('_k_cache'));
    };
    const owners = [0, 1, 2, 3, 1, 3].map((layer) => `layer_${layer}_k_cache`);
    expect(owners.map((_, layer) => cacheOf(layer))).to.deep.equal(owners);
  });

  it('may be several of a layer: sparse attention has small keys, but where it borrows what others chose', () => {
    const says = {
      ...{ model_type: 'glm_moe_dsa', vocab_size: 131, hidden_size: 64, intermediate_size: 96 },
      ...{ num_hidden_layers: 4, num_attention_heads: 4, first_k_dense_replace: 4 },
      ...{ q_lora_rank: 32, kv_lora_rank: 48, qk_rope_head_dim: 16, index_head_dim: 32, index_n_heads: 2 },
      ...{ index_topk_pattern: 'FFSS', max_position_embeddings: 256 },
    };
    const model = new (getRouter('glm_moe_dsa'))('', says).createModel(declaredWeights('bf16'));
    const keys = (layer: number) => ({ key: `layer_${layer}_k_cache`, heads: 1, keySize: 64, valueSize: 48 });
    const small = (layer: number) => ({
      key: `layer_${layer}_index_cache`,
      ...{ heads: 1, keySize: 32, valueSize: 32 },
    });
    expect(model.caches()).to.deep.equal([keys(0), small(0), keys(1), small(1), keys(2), keys(3)]);
    for (const kind of [PREFILL, DECODE]) {
      const placed = model.buildGraph(kind).nodes.filter(({ name }) => name.startsWith('layer_'));
      expect(placed.map(({ outputs }) => outputs.slice(1))).to.deep.equal([[], ['chosen_keys_1'], [], []]);
      expect(placed.map(({ inputs }) => inputs.filter((name) => name.startsWith('chosen')))).to.deep.equal([
        ...[[], []],
        ...[['chosen_keys_1'], ['chosen_keys_1']],
      ]);
    }
  });

  it('may hold keys alone, whose first numbers are the values', () => {
    const model = new OneOfItsKind(
      config,
      [PREFILL],
      (id, at) => new AttentionLayer(id, at, new LatentAttention(id, config, at.at('self_attn'))),
    );
    const caches = model.caches();
    expect(caches[0]).to.deep.equal({ key: 'layer_0_kv_cache', heads: 1, keySize: 96, valueSize: 64 });
    expect(model.buildGraph(PREFILL).inputs)
      .to.include('layer_2_kv_cache')
      .and.not.include('layer_2_v_cache');
    const engine = createEngine({ threads: 1 });
    try {
      // bf16, a multiple of 32 numbers a key; nothing for values.
      const bytes = engine.allocateKvCache({ numBlocks: 4, blockSize: 32, dtype: 'bf16', caches });
      expect(bytes).to.equal(3 * 4 * 32 * 96 * 2);
    } finally {
      engine.dispose();
    }
  });
});
