import { expect } from 'chai';
import { normalQuantile } from '../../src/layers/formulas/normal-quantile.js';
import { loadModels } from '../../src/models/get-model.js';
import { type Dict, itIsRefused, routerOf } from './published-checks.js';

const TEXT: Dict = {
  ...{
    model_type: 'gemma3n_text',
    vocab_size: 131,
    hidden_size: 64,
    intermediate_size: [96, 96, 80, 96, 96, 80],
  },
  ...{ num_hidden_layers: 6, num_attention_heads: 4, num_key_value_heads: 2, head_dim: 16 },
  ...{ max_position_embeddings: 256, num_kv_shared_layers: 1 },
};
const GEMMA4: Dict = {
  ...{ ...TEXT, model_type: 'gemma4_text', intermediate_size: 96, global_head_dim: 16 },
  rope_parameters: {
    sliding_attention: { rope_type: 'default', rope_theta: 10_000 },
    full_attention: { rope_type: 'proportional', partial_rotary_factor: 0.25, rope_theta: 1_000_000 },
  },
};

describe('what files of Gemma 3n say', () => {
  before(() => loadModels());

  it('may be a width for each layer, and leave out what the class has by itself', () => {
    const { config } = routerOf(TEXT);
    expect(config).to.include({ intermediateSize: 96, streams: 4, activeStream: 0, logitSoftcap: 30 });
    expect(config).to.deep.include({ widths: [96, 96, 80, 96, 96, 80], closedGates: [0, 0, 0, 0, 0, 0] });
    expect(config.slidingWindows).to.deep.equal([512, 512, 512, 512, undefined, 512]);
    const many = routerOf({
      ...TEXT,
      num_hidden_layers: 12,
      intermediate_size: 96,
      num_kv_shared_layers: 2,
    }).config;
    expect(many).to.deep.include({
      closedGates: [...Array(10).fill(0.95), 0, 0],
      widths: Array(12).fill(96),
    });
  });

  for (const [what, changes, names] of [
    [
      'widths of other layers',
      { intermediate_size: [96] },
      /intermediate_size must have one entry for each of the 6 layers, found 1/,
    ],
    [
      'a width of nothing',
      { intermediate_size: [96, 96, 0, 96, 96, 80] },
      /intermediate_size must be a list of positive integers/,
    ],
    [
      'shares of other layers',
      { activation_sparsity_pattern: [0.5] },
      /activation_sparsity_pattern must have one entry for each of the 6/,
    ],
    [
      'all gates closed',
      { activation_sparsity_pattern: [1, 0, 0, 0, 0, 0] },
      /activation_sparsity_pattern must be a list of numbers below 1/,
    ],
    [
      'a stream that is not there',
      { altup_active_idx: 4 },
      /altup_active_idx must be an integer from 0 to 3/,
    ],
    ['one stream', { altup_num_inputs: 1 }, /altup_num_inputs must be an integer from 2 to 64/],
    [
      'keys of nobody',
      { num_kv_shared_layers: 2 },
      /num_kv_shared_layers must leave a layer of each kind .* found 2 of 6 layers/,
    ],
    [
      'fewer layers than borrow',
      { num_kv_shared_layers: undefined },
      /num_kv_shared_layers must leave .* found 15 of 6 layers/,
    ],
  ] as const)
    itIsRefused(what, { ...TEXT, ...changes }, names);
  itIsRefused(
    'keys of nobody in Gemma 4',
    { ...GEMMA4, num_kv_shared_layers: 6 },
    /num_kv_shared_layers must leave a layer of each kind .* found 6 of 6 layers/,
  );

  const IDS = { audio_token_id: 125, eoa_token_id: 124, boa_token_id: 119 };
  const HEARS = { vocab_size: 7, vocab_offset: 124 };
  for (const [what, audio, names] of [
    ['of Gemma 3n rows that see later ones', { conf_attention_context_right: 1 }, /context_right must be 0/],
    [
      'strides of one',
      {
        sscp_conv_stride_size: [
          [1, 2],
          [2, 2],
        ],
      },
      /sscp_conv_stride_size must be \[\[2, 2\]/,
    ],
    ['one convolution', { sscp_conv_channel_size: [8] }, /sscp_conv_channel_size must be two sizes, found 8/],
    ['numbers that are cut', { gradient_clipping: 100 }, /gradient_clipping must be a number greater than/],
    [
      "words that are not the encoder's",
      { vocab_offset: 125 },
      /eoa_token_id must be one of audio_config, from 125/,
    ],
  ] as const)
    itIsRefused(
      what,
      { ...IDS, model_type: 'gemma3n', text_config: TEXT, audio_config: { ...HEARS, ...audio } },
      names,
    );
  const SEES = { vocab_size: 4, vocab_offset: 120 };
  const BLOCK = { block_type: 'uir', out_chs: 16, stride: 2, dw_kernel_size_start: 3, dw_kernel_size_mid: 5 };
  for (const [what, vision, names] of [
    ['another encoder', { architecture: 'resnet50' }, /architecture must be mobilenetv5_300m_enc/],
    [
      'words of others',
      { vocab_offset: 121 },
      /eoi_token_id must be one of vision_config, from 121 to 124, found 120/,
    ],
    [
      'tokens that leave rows over',
      { model_args: { msfa_output_resolution: 5 } },
      /msfa_output_resolution must divide 48 rows along a side, found 5/,
    ],
    [
      'pictures that are no square',
      { model_args: { pretrained_cfg_overlay: { input_size: [3, 64, 32] } } },
      /model_args.pretrained_cfg_overlay.input_size must be 3 channels and a square's sides, found 3,64,32/,
    ],
    ['one stage', { model_args: { block_args: [[BLOCK]] } }, /block_args must be at least 2 lists of blocks/],
    [
      'blocks of other kinds',
      { model_args: { block_args: [[BLOCK], [BLOCK, { ...BLOCK, stride: 1, block_type: 'ir' }]] } },
      /model_args.block_args\[1\]\[1\].block_type must be one of er, uir, mqa, found "ir"/,
    ],
    [
      'gates of channels',
      { model_args: { block_args: [[BLOCK], [{ ...BLOCK, se_ratio: 0.25 }]] } },
      /block_args\[1\]\[0\].se_ratio must be 0: nothing else/,
    ],
  ] as const)
    itIsRefused(
      `in pictures of Gemma 3n ${what}`,
      {
        ...{
          image_token_id: 121,
          eoi_token_id: 120,
          boi_token_id: 118,
          model_type: 'gemma3n',
          text_config: TEXT,
        },
        vision_config: { ...SEES, ...vision },
      },
      names,
    );
  for (const [what, audio, names] of [
    [
      'of Gemma 4 rows that look back farther than a chunk',
      { attention_chunk_size: 6 },
      /attention_context_left must be attention_chunk_size \(6\)/,
    ],
    [
      'bins that no convolution leaves',
      { subsampling_conv_channels: [6, 8] },
      /subsampling_conv_channels must be a multiple of 4/,
    ],
  ] as const)
    itIsRefused(
      what,
      { ...IDS, model_type: 'gemma4', text_config: GEMMA4, vision_config: {}, audio_config: audio },
      names,
    );

  for (const [what, changes, names] of [
    [
      'blocks of another size',
      { vision_config: { model_patch_size: 32 } },
      /model_patch_size must be 48, patch_size times/,
    ],
    [
      'rows of another size',
      { vision_config: { mm_embed_dim: 64, output_proj_dims: 32 } },
      /output_proj_dims must be 64, as mm_embed_dim says/,
    ],
    [
      'vectors of layers',
      { text_config: { ...GEMMA4, hidden_size_per_layer_input: 8 } },
      /hidden_size_per_layer_input must be 0/,
    ],
  ] as const)
    itIsRefused(
      `in Gemma 4 without encoders ${what}`,
      { ...IDS, model_type: 'gemma4_unified', text_config: GEMMA4, vision_config: {}, ...changes },
      names,
    );

  it('says of shares how far from the mean a gate opens', () => {
    const found = [0.95, 0.99, 0.025, 0.8413447460685429].map((share) => normalQuantile(share).toFixed(9));
    expect(found).to.deep.equal(['1.644853627', '2.326347874', '-1.959963985', '1.000000000']);
  });
});
