import { expect } from 'chai';
import { DECODE, PREFILL } from '../../src/graph/graph-kind.js';
import { applyPasses } from '../../src/graph/passes/index.js';
import { printDot, printSvg, printText } from '../../src/graph/printers/index.js';
import { familyKinds, familyModel } from '../models/family-models.js';

describe('graph printers', () => {
  it('print text for reading in a review', async () => {
    const spec = applyPasses((await familyModel('qwen3')).buildGraph(DECODE), ['implicit-masks']);
    expect(printText(spec)).to.equal(QWEN3_DECODE);
  });

  it('print each distinct layer once, and where it goes', async () => {
    const text = printText((await familyModel('qwen2')).buildGraph(PREFILL));
    expect(text.match(/^graph /gm)).to.have.length(3);
    expect(text).to.match(
      /hidden_states_2 = prefill_sliding_layer_graph\(model\.layers\.1\.\*, k_cache: layer_1_k_cache/,
    );
    expect(text).to.match(
      /sliding_attention_mask, cos_embedding, sin_embedding\) {2}# layer_1\n {2}hidden_states_3 = … likewise to layer_2, 2 in all/,
    );
    expect(text).to.match(/isTriuMask: 0\} {2}# causal: true, windowSize: 20/);
  });

  for (const { family, kind, phase } of familyKinds) {
    it(`draw ${family} in ${phase}: every operation has its box`, async () => {
      const spec = (await familyModel(family)).buildGraph(kind);
      const [svg, dot] = [printSvg(spec), printDot(spec)];
      expect(svg).to.match(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" viewBox="0 0 [\d.]+ [\d.]+"/);
      expect(svg).not.to.match(/NaN|undefined/);
      expect(svg.match(/<rect/g)?.length).to.be.above(20);
      const attention = phase === 'prefill' ? 'SelfAttention' : 'PagedAttention';
      for (const type of [attention, 'RmsNorm', 'Linear', 'Rope', 'ReshapeAndCache']) {
        expect(svg).to.include(`>${type}</text>`);
        expect(dot).to.match(new RegExp(`label="${type}`));
      }
      expect(dot.match(/subgraph cluster_/g)).to.have.length(family === 'qwen2' ? 3 : 2);
      expect(dot.split('{').length).to.equal(dot.split('}').length);
    });
  }

  it('draw nothing outside the picture', async () => {
    const svg = printSvg((await familyModel('mistral')).buildGraph(DECODE));
    const [, width, height] = /viewBox="0 0 ([\d.]+) ([\d.]+)"/.exec(svg) ?? [];
    const panels = [
      ...svg.matchAll(
        /<g transform="translate\(([\d.]+) ([\d.]+)\)">\s*<rect width="([\d.]+)" height="([\d.]+)"/g,
      ),
    ];
    expect(panels).to.have.length(2);
    for (const [, x, y, w, h] of panels) {
      expect(Number(x) + Number(w)).to.be.below(Number(width));
      expect(Number(y) + Number(h)).to.be.below(Number(height));
    }
  });
});

const QWEN3_DECODE = `graph qwen3_decode_graph
  in  model.embed_tokens.weight, model.layers.*.input_layernorm.weight ×3,
      model.layers.*.self_attn.query_key_value.weight ×3, model.layers.*.self_attn.o_proj.weight ×3,
      model.layers.*.self_attn.q_norm.weight ×3, model.layers.*.self_attn.k_norm.weight ×3,
      model.layers.*.post_attention_layernorm.weight ×3, model.layers.*.mlp.gate_up_proj.weight ×3,
      model.layers.*.mlp.down_proj.weight ×3, model.norm.weight, lm_head.weight, layer_*_k_cache ×3,
      layer_*_v_cache ×3, input_ids, position_ids, cos_table, sin_table, slots_mapping, block_tables, seq_len
  out model_out
  hidden_states = Gather(model.embed_tokens.weight, input_ids) {axis: 0}
  cos_embedding = Gather(cos_table, position_ids) {axis: 0}
  sin_embedding = Gather(sin_table, position_ids) {axis: 0}
  hidden_states_1 = decode_layer_graph(model.layers.0.*, k_cache: layer_0_k_cache, v_cache: layer_0_v_cache, hidden_states, slots_mapping, block_tables, seq_len, cos_embedding, sin_embedding)  # layer_0
  hidden_states_3 = … likewise to layer_2, 3 in all
  norm_out = RmsNorm(hidden_states_3, model.norm.weight) {layerType: RMS_NORM_NORM, epsilon: 1e-6, quantType: QUANT_UNDEFINED}
  model_out = Linear(norm_out, lm_head.weight) {transposeB: true, hasBias: false}

graph decode_layer_graph
  in  input_layernorm.weight, self_attn.query_key_value.weight, self_attn.o_proj.weight,
      self_attn.q_norm.weight, self_attn.k_norm.weight, post_attention_layernorm.weight,
      mlp.gate_up_proj.weight, mlp.down_proj.weight, k_cache, v_cache, hidden_states, slots_mapping,
      block_tables, seq_len, cos_embedding, sin_embedding
  out layer_out
  input_layernorm_out = RmsNorm(hidden_states, input_layernorm.weight) {layerType: RMS_NORM_NORM, epsilon: 1e-6, quantType: QUANT_UNDEFINED}
  qkv_mixed = Linear(input_layernorm_out, self_attn.query_key_value.weight) {transposeB: true, hasBias: false}
  q, k, v = Split(qkv_mixed) {splitDim: 1, splitNum: 3, splitSizes: [128, 64, 64]}
  q_norm_heads_out = RmsNorm(q[#0, 4, 32], self_attn.q_norm.weight) {layerType: RMS_NORM_NORM, epsilon: 1e-6, quantType: QUANT_UNDEFINED}
  k_norm_heads_out = RmsNorm(k[#0, 2, 32], self_attn.k_norm.weight) {layerType: RMS_NORM_NORM, epsilon: 1e-6, quantType: QUANT_UNDEFINED}
  q_rope, k_rope = Rope(q_norm_heads_out[#0, #1·#2], k_norm_heads_out[#0, #1·#2], cos_embedding, sin_embedding, seq_len) {rotaryCoeff: 2}
  k_cache, v_cache = ReshapeAndCache(k_rope[#0, 2, 32], v[#0, 2, 32], k_cache, v_cache, slots_mapping)
  attention_heads = PagedAttention(q_rope[#0, 4, 32], k_cache, v_cache, block_tables, seq_len) {headNum: 4, kvHeadNum: 2, qkScale: 0.176777, maskType: MASK_TYPE_UNDEFINED}
  dense_out = Linear(attention_heads[#0, #1·#2], self_attn.o_proj.weight) {transposeB: true, hasBias: false}
  attn_residual = Elewise(hidden_states, dense_out) {elewiseType: ELEWISE_ADD}
  post_attention_layernorm_out = RmsNorm(attn_residual, post_attention_layernorm.weight) {layerType: RMS_NORM_NORM, epsilon: 1e-6, quantType: QUANT_UNDEFINED}
  gate_up_out = Linear(post_attention_layernorm_out, mlp.gate_up_proj.weight) {transposeB: true, hasBias: false}
  mul_out = Activation(gate_up_out) {activationType: ACTIVATION_SWIGLU_FORWARD, dim: -1}
  mlp_out = Linear(mul_out, mlp.down_proj.weight) {transposeB: true, hasBias: false}
  layer_out = Elewise(attn_residual, mlp_out) {elewiseType: ELEWISE_ADD}
`;
