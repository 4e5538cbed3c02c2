/** Of MiniMax-M3, for each layer, whether it has experts and an indexer: all but the first three. */
export const MINIMAX_M3_BLOCKS = Array.from({ length: 60 }, (_, layer) => (layer < 3 ? 0 : 1));

/**
 * What text_config of MiniMaxAI/MiniMax-M3 says beside sizes, as tests and notes of public repositories
 * quote it.
 */
export const MINIMAX_M3_TEXT = {
  hidden_act: 'swigluoai',
  attention_output_gate: false,
  bos_token_id: 200_034,
  dense_intermediate_size: 12_288,
  eos_token_id: 200_020,
  head_dim: 128,
  moe_layer_freq: MINIMAX_M3_BLOCKS,
  n_shared_experts: 1,
  num_experts_per_tok: 4,
  num_local_experts: 128,
  num_mtp_modules: 7,
  num_nextn_predict_layers: 1,
  partial_rotary_factor: 0.5,
  qk_norm_type: 'per_head',
  rms_norm_eps: 1e-6,
  rope_theta: 5_000_000,
  rotary_dim: 64,
  routed_scaling_factor: 2,
  scoring_func: 'sigmoid',
  shared_intermediate_size: 3072,
  sparse_attention_config: {
    use_sparse_attention: true,
    sparse_index_dim: 128,
    sparse_num_index_heads: 4,
    sparse_topk_blocks: 16,
    sparse_block_size: 128,
    sparse_disable_index_value: MINIMAX_M3_BLOCKS,
    sparse_score_type: 'max',
    sparse_init_block: 0,
    sparse_local_block: 1,
    sparse_attention_freq: MINIMAX_M3_BLOCKS,
  },
  swiglu_alpha: 1.702,
  swiglu_beta: 1,
  swiglu_limit: 7,
  tie_word_embeddings: false,
  use_gemma_norm: true,
  use_qk_norm: true,
  use_routing_bias: true,
};
