import { renamed, type Weights } from '../../weights/weights.js';

/** What transformers 5.24 calls tensors, and what the published files call them. */
const PUBLISHED: readonly (readonly [own: RegExp, published: string])[] = [
  [/image_embed\.img_projection_up\./, 'image_embed.img_projection.0.'],
  [/image_embed\.img_projection_down\./, 'image_embed.img_projection.2.'],
  [/image_embed\.global_img_feature_extensor$/, 'image_embed.glb_GN'],
  [/image_embed\.sub_img_feature_extensor$/, 'image_embed.sub_GN'],
  [/audio_embed\.up_proj_for_speech\./, 'audio_embed.audio_projection.speech.0.'],
  [/audio_embed\.down_proj_for_speech\./, 'audio_embed.audio_projection.speech.2.'],
  [/audio_embed\.up_proj_for_vision_speech\./, 'audio_embed.audio_projection.vision.0.'],
  [/audio_embed\.down_proj_for_vision_speech\./, 'audio_embed.audio_projection.vision.2.'],
  [/(encoders\.\d+\.feed_forward_(?:in|out))\.gate_up_proj\./, '$1.net.0.linear.'],
  [/(encoders\.\d+\.feed_forward_(?:in|out))\.down_proj\./, '$1.net.2.'],
  [/(encoders\.\d+\.self_attn)\.([qkv])_proj\./, '$1.linear_$2.'],
  [/(encoders\.\d+\.self_attn)\.o_proj\./, '$1.linear_out.'],
  // Adapters stand beside each product of the text.
  [/^(model\.layers\.\d+\.(?:self_attn|mlp)\.\w+_proj)\.(?!lora_)/, '$1.base_layer.'],
];

/** The same weights, which files may hold under their published names. */
export const withPublishedNames = (weights: Weights): Weights =>
  weights.mapped((source) =>
    renamed(source, (name) => {
      if (source.has(name)) return name;
      const [own, published] = PUBLISHED.find(([pattern]) => pattern.test(name)) ?? [];
      const other = own && published !== undefined ? name.replace(own, published) : name;
      return source.has(other) ? other : name;
    }),
  );
