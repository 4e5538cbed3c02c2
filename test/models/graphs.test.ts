import { expect } from 'chai';
import { DECODE, DECODER_KINDS, type GraphKind, PREFILL, SPLITFUSE } from '../../src/graph/graph-kind.js';
import type { GraphSpec } from '../../src/graph/graph-spec.js';
import { inputDescs } from '../../src/models/base/input-descs.js';
import { loadModels } from '../../src/models/get-model.js';
import { type CausalLM, getRouter } from '../../src/router/index.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { FAMILIES, type Family, familyKinds, familyModel, flat } from './family-models.js';

/** Types of a graph's operations, a run of equal layers in brackets with its length. */
function outline(spec: GraphSpec): string {
  const parts = spec.nodes.map(({ op }) => ('graph' in op ? `[${outline(op.graph)}]` : op.type));
  const runs: { part: string; count: number }[] = [];
  for (const part of parts) {
    const last = runs.at(-1);
    if (last?.part === part && part.startsWith('[')) last.count++;
    else runs.push({ part, count: 1 });
  }
  return runs.map(({ part, count }) => (part.startsWith('[') ? `${part}x${count}` : part)).join(' ');
}

const layer = (attention: string, qkNorm = ''): string =>
  `RmsNorm Linear Split ${qkNorm}Rope ReshapeAndCache ${attention} Linear Elewise ` +
  'RmsNorm Linear Activation Linear Elewise';
const OUTLINES: Record<Family, { attention: (kind: string) => string }> = {
  llama: { attention: (kind) => `[${layer(kind)}]x3` },
  'llama-tied': { attention: (kind) => `[${layer(kind)}]x3` },
  mistral: { attention: (kind) => `[${layer(kind)}]x3` },
  qwen2: { attention: (kind) => `[${layer(kind)}]x3` },
  qwen3: { attention: (kind) => `[${layer(kind, 'RmsNorm RmsNorm ')}]x3` },
};

/** What a graph reads besides weights and caches. */
function broughtBy(model: CausalLM, kind: GraphKind): string[] {
  const brought = model.stepInputs.flatMap(({ names }) => names);
  return model.buildGraph(kind).inputs.filter((name) => brought.includes(name));
}

describe('model graphs', () => {
  for (const { family, kind, phase } of familyKinds) {
    it(`are, for ${family} in ${phase}, these operations in this order`, async () => {
      const attention = phase === 'prefill' ? 'SelfAttention' : 'PagedAttention';
      const head = phase === 'decode' ? 'Linear' : 'Gather Linear';
      const expected = `Gather Gather Gather ${OUTLINES[family].attention(attention)} RmsNorm ${head}`;
      expect(outline((await familyModel(family)).buildGraph(kind))).to.equal(expected);
    });

    it(`have, for ${family} in ${phase}, logits of each sequence's last token`, async () => {
      const model = await familyModel(family);
      const spec = model.buildGraph(kind);
      const { outputs, inputs } = flat(model, spec, kind);
      expect(outputs).to.deep.equal(['model_out']);
      expect(inputs.input_ids).to.deep.equal({ dtype: 'int64', shape: [phase === 'decode' ? 2 : 40] });
    });
  }

  it("differ in what a step brings, by MindIE's names", async () => {
    const model = await familyModel('llama');
    const common = ['input_ids', 'position_ids', 'cos_table', 'sin_table', 'slots_mapping', 'seq_len'];
    expect(broughtBy(model, PREFILL)).to.have.members([...common, 'attention_mask', 'lm_head_indices']);
    expect(broughtBy(model, DECODE)).to.have.members([...common, 'block_tables']);
    expect(broughtBy(model, SPLITFUSE)).to.have.members([
      ...common,
      'block_tables',
      'q_len',
      'attention_mask',
      'lm_head_indices',
    ]);
  });

  it('read the masks that their layers need', async () => {
    const masks = async (family: Family) => {
      const model = await familyModel(family);
      return DECODER_KINDS.map((kind) => broughtBy(model, kind).filter((name) => /mask/.test(name)));
    };
    expect(await masks('llama')).to.deep.equal([['attention_mask'], [], ['attention_mask']]);
    expect(await masks('mistral')).to.deep.equal(Array(3).fill(['sliding_attention_mask']));
    const both = ['attention_mask', 'sliding_attention_mask'];
    expect(await masks('qwen2')).to.deep.equal([both, ['sliding_attention_mask'], both]);
  });

  it('look up the rows of a rotary table only where a layer turns by them', async () => {
    await loadModels();
    const tables = (modelType: string, layerTypes: readonly string[]) => {
      const dict = {
        model_type: modelType,
        layer_types: layerTypes,
        hidden_size: 64,
        intermediate_size: 112,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 16,
        max_position_embeddings: 256,
        vocab_size: 131,
      };
      const model = new (getRouter(modelType))('', dict).createModel(declaredWeights('bf16'));
      return broughtBy(model, DECODE).filter((name) => name.endsWith('cos_table'));
    };
    for (const family of ['gemma3_text', 'olmo3']) {
      const [full, sliding] = ['full_attention', 'sliding_attention'];
      expect(tables(family, [full, full]), family).to.deep.equal(['cos_table']);
      expect(tables(family, [sliding, sliding]), family).to.deep.equal(['sliding_cos_table']);
      expect(tables(family, [full, sliding]), family).to.have.members(['cos_table', 'sliding_cos_table']);
    }
  });

  it('name weights as the checkpoint does, packed ones as MindIE does', async () => {
    const names = async (family: Family) =>
      (await familyModel(family)).getWeights().map(({ name }) => name.replace(/layers\.\d+/, 'layers.N'));
    const attention = ['query_key_value.weight', 'o_proj.weight'].map(
      (name) => `model.layers.N.self_attn.${name}`,
    );
    const [qkv = '', dense = ''] = attention;
    const layerOf = (...selfAttn: string[]) => [
      'model.layers.N.input_layernorm.weight',
      ...selfAttn,
      'model.layers.N.post_attention_layernorm.weight',
      'model.layers.N.mlp.gate_up_proj.weight',
      'model.layers.N.mlp.down_proj.weight',
    ];
    const bias = (name: string) => name.replace(/weight$/, 'bias');
    expect([...new Set(await names('mistral'))]).to.deep.equal([
      'model.embed_tokens.weight',
      ...layerOf(...attention),
      'model.norm.weight',
      'lm_head.weight',
    ]);
    expect([...new Set(await names('qwen2'))].slice(1, -2)).to.deep.equal(layerOf(qkv, bias(qkv), dense));
    expect([...new Set(await names('qwen3'))].slice(1, -2)).to.deep.equal(
      layerOf(
        ...attention,
        'model.layers.N.self_attn.q_norm.weight',
        'model.layers.N.self_attn.k_norm.weight',
      ),
    );
    const biased = (await names('llama')).filter((name) => /bias$/.test(name));
    expect(biased).to.include.members(
      [qkv, dense, 'model.layers.N.mlp.gate_up_proj.weight', 'model.layers.N.mlp.down_proj.weight'].map(bias),
    );
  });

  it('store a tied embedding once, and read it twice', async () => {
    const model = await familyModel('llama-tied');
    const embeddings = model.getWeights().filter(({ name }) => /embed|lm_head/.test(name));
    expect(embeddings.map(({ name }) => name)).to.deep.equal(['model.embed_tokens.weight']);
    const spec = model.buildGraph(DECODE);
    const readers = spec.nodes
      .filter(({ inputs }) => inputs.includes('model.embed_tokens.weight'))
      .map(({ name }) => name);
    expect(readers).to.deep.equal(['word_embedding', 'lm_head']);
  });

  it('share the graph of equal layers, and have one for each kind', async () => {
    for (const family of FAMILIES) {
      const spec = (await familyModel(family)).buildGraph(SPLITFUSE);
      const layers = new Set(spec.nodes.flatMap(({ op }) => ('graph' in op ? [op.graph] : [])));
      expect(layers.size).to.equal(family === 'qwen2' ? 2 : 1);
    }
  });

  it('take their head size from config.json, not from the hidden size', async () => {
    const model = await familyModel('qwen3');
    const { headDim = 0, numAttentionHeads = 0, hiddenSize } = model.config;
    expect(headDim * numAttentionHeads)
      .to.be.above(0)
      .and.not.to.equal(hiddenSize);
    const descs = inputDescs(model, DECODE, 'bf16', { batch: 3, tokens: 40, blockSize: 16 });
    expect(descs.get('layer_0_k_cache')).to.deep.equal({ dtype: 'bf16', shape: [9, 16, 2, 32] });
    expect(descs.get('block_tables')?.shape).to.deep.equal([3, 3]);
    expect(descs.get('model.layers.0.self_attn.query_key_value.weight')?.shape).to.deep.equal([256, 64]);
  });
});
