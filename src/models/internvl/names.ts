import type { QkvNames } from '../../layers/linear/projections.js';
import type { MergerSizes } from '../base/vision/index.js';

/** What a checkpoint calls the parts of its encoder: full names, and in `layer` those within a layer. */
export interface InternvlNames {
  readonly tower: string;
  readonly classRow: string;
  readonly patches: string;
  readonly positions: string;
  readonly layers: string;
  readonly layer: {
    readonly inputNorm: string;
    readonly attention: string;
    readonly qkv: QkvNames;
    readonly dense: string;
    readonly attentionScale: string;
    readonly mlpNorm: string;
    readonly mlpScale: string;
  };
  readonly projector: string;
  readonly merger: MergerSizes['names'];
}

/** As transformers writes files. */
export const INTERNVL_NAMES: InternvlNames = {
  tower: 'vision_tower',
  classRow: 'cls_token',
  patches: 'patch_embeddings.projection',
  positions: 'position_embeddings',
  layers: 'encoder.layer',
  layer: {
    inputNorm: 'layernorm_before',
    attention: 'attention',
    qkv: { q: 'q_proj', k: 'k_proj', v: 'v_proj' },
    dense: 'projection_layer',
    attentionScale: 'lambda_1',
    mlpNorm: 'layernorm_after',
    mlpScale: 'lambda_2',
  },
  projector: 'multi_modal_projector',
  merger: { norm: 'layer_norm', up: 'linear_1', down: 'linear_2' },
};

/** As the code beside the published checkpoints does. */
export const INTERNVL_CHAT_NAMES: InternvlNames = {
  tower: 'vision_model',
  classRow: 'class_embedding',
  patches: 'patch_embedding',
  positions: 'position_embedding',
  layers: 'encoder.layers',
  layer: {
    inputNorm: 'norm1',
    attention: 'attn',
    qkv: { packed: 'qkv', order: 'blocks' },
    dense: 'proj',
    attentionScale: 'ls1',
    mlpNorm: 'norm2',
    mlpScale: 'ls2',
  },
  projector: 'mlp1',
  merger: { norm: '0', up: '1', down: '3' },
};
