import { defineConfig, type Field, field, nested, only, positive, WIDTH } from '../../layers/config/index.js';
import type { TextWithin } from '../base/text-within.js';
import { aroundText } from '../base/text-within.js';
import { samFields } from '../base/vision/index.js';
import { deepseekVlFields } from '../deepseek_vl/index.js';

/** The MLPs' width, by itself or as so many times that of rows, rounded down. */
const mlpWidth: Field<number, { readonly hiddenSize: number }> = {
  read(json, { hiddenSize }) {
    const times = json.value('mlp_ratio', positive(1000)) ?? 4;
    return json.value('mlp_dim', WIDTH) ?? Math.floor(hiddenSize * times);
  },
};

/** Each encoder gives half of what stands in the place of a word. */
const halfSize: Field<number, { readonly text: TextWithin }> = {
  read(json, { text: { hiddenSize } }) {
    if (hiddenSize % 2 === 0) return hiddenSize / 2;
    return json.fail(`hidden_size of text_config must be even, found ${hiddenSize}`);
  },
};

/** The layer whose result is seen beside that of the last: the first one that sees whole pictures. */
const seenLayer: Field<number, { readonly numLayers: number; readonly wholeLayers: readonly number[] }> = {
  read(json, { numLayers, wholeLayers: [first] }) {
    if (first !== undefined && first < numLayers) return first;
    return json.fail(
      `global_attn_indexes must begin with that of one of ${numLayers} layers, found ${first ?? 'none'}`,
    );
  },
};

/** Defaults of transformers 5.24, DeepseekVLHybridConfig. */
export const DEEPSEEK_VL_HYBRID_CONFIG = aroundText(
  defineConfig({
    fields: {
      ...deepseekVlFields,
      halfSize,
      fine: nested(
        'high_res_vision_config',
        {
          ...samFields,
          intermediateSize: mlpWidth,
          seenLayer,
          kind: field('model_type', only('sam_vision_model'), 'sam_vision_model'),
        },
        ['num_pos_feats', 'scale', 'intermediate_size'],
      ),
    },
  }),
);
export type DeepseekVlHybridConfig = ReturnType<(typeof DEEPSEEK_VL_HYBRID_CONFIG)['read']>;
