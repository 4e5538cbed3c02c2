import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkModel } from '../../src/cli/check.js';
import { getModel } from '../../src/models/get-model.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { safetensorsBytes } from '../weights/safetensors-writer.js';
import { readTensors } from './fixtures.js';
import { BEST_ISA } from './isas.js';
import { promptLogits } from './logits.js';
import { encodeWords, insertsOf, processedOf, visionCheckpoint, visionReferences } from './vision.js';

const CASE = 'phi4_multimodal-published';

/** Where published names of a few tensors stand otherwise in transformers' files. */
const OWN_NAMES: readonly (readonly [published: RegExp, own: string])[] = [
  [/\.base_layer\./, '.'],
  [/img_projection\.0/, 'img_projection_up'],
  [/img_projection\.2/, 'img_projection_down'],
  [/glb_GN/, 'global_img_feature_extensor'],
  [/sub_GN/, 'sub_img_feature_extensor'],
  [/audio_projection\.speech\.0/, 'up_proj_for_speech'],
  [/audio_projection\.speech\.2/, 'down_proj_for_speech'],
  [/audio_projection\.vision\.0/, 'up_proj_for_vision_speech'],
  [/audio_projection\.vision\.2/, 'down_proj_for_vision_speech'],
  [/net\.0\.linear/, 'gate_up_proj'],
  [/net\.2/, 'down_proj'],
  [/self_attn\.linear_out/, 'self_attn.o_proj'],
  [/self_attn\.linear_([qkv])/, 'self_attn.$1_proj'],
];

/** What peft writes of an adapter of rank `r`. */
const peft = (r: number, alpha: number) =>
  JSON.stringify({
    ...{ peft_type: 'LORA', task_type: 'CAUSAL_LM', r, lora_alpha: alpha, lora_dropout: 0, bias: 'none' },
    target_modules: ['qkv_proj', 'o_proj', 'gate_up_proj', 'down_proj'],
  });

describe('adapters in folders of their own, beside a model as transformers writes it', function () {
  this.timeout(60_000);

  it('give the bits of the published files, which hold all in one', async () => {
    const checkpoint = visionCheckpoint(CASE);
    const logitsOf = async () => {
      const processor = await (await getModel(checkpoint.path)).getMediaProcessor(encodeWords);
      const setting = { modelPath: checkpoint.path, dtype: 'f32', isa: BEST_ISA, threads: 2 } as const;
      const runner = await ModelRunner.load({ ...setting, blockSize: 32, numBlocks: 8 });
      if (!processor) throw new Error('nothing is seen');
      const found: Float32Array[] = [];
      for (const reference of (await visionReferences(CASE)).slice(1, 3)) {
        const inserts = insertsOf(reference, await processedOf(reference, processor), processor);
        found.push(await promptLogits(runner, reference.prompt, inserts));
      }
      runner.dispose();
      return found;
    };
    try {
      const published = await logitsOf();
      const model = join(checkpoint.path, 'model.safetensors');
      const tensors = [...(await readTensors(model))].map(([name, { shape, data }]) => ({
        name,
        tensor: { dtype: 'F32', shape, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) },
      }));
      const adapters = ['vision', 'speech'].map((kind) => ({ kind, end: `.${kind}.weight` }));
      const ofAdapter = (name: string) => name.includes('.lora_');
      const own = tensors.flatMap(({ name, tensor }) =>
        ofAdapter(name)
          ? []
          : [{ ...tensor, name: OWN_NAMES.reduce((now, [from, to]) => now.replace(from, to), name) }],
      );
      writeFileSync(model, safetensorsBytes(own));
      for (const [index, { kind, end }] of adapters.entries()) {
        const folder = join(checkpoint.path, `${kind}-lora`);
        mkdirSync(folder);
        writeFileSync(join(folder, 'adapter_config.json'), index === 0 ? peft(4, 6) : peft(3, 5));
        const parts = tensors.flatMap(({ name, tensor }) =>
          ofAdapter(name) && name.endsWith(end)
            ? [{ ...tensor, name: `base_model.model.${name.replace(end, '.weight')}` }]
            : [],
        );
        writeFileSync(join(folder, 'adapter_model.safetensors'), safetensorsBytes(parts));
      }
      writeFileSync(join(checkpoint.path, 'config.json'), ownConfig(join(checkpoint.path, 'config.json')));
      expect((await checkModel({ modelPath: checkpoint.path })).map(({ text }) => text)).to.deep.equal([]);
      expect(await logitsOf()).to.deep.equal(published);
      // Without them other numbers come out.
      for (const { kind } of adapters) rmSync(join(checkpoint.path, `${kind}-lora`), { recursive: true });
      const plain = await logitsOf();
      for (const [index, logits] of plain.entries()) expect(logits).to.not.deep.equal(published[index]);
    } finally {
      checkpoint.remove();
    }
  });
});

/** What transformers writes of a published config.json. */
function ownConfig(file: string): string {
  const published = JSON.parse(readFileSync(file, 'utf8'));
  const { audio_processor, embd_layer, vision_lora, speech_lora, rope_theta, ...rest } = published;
  const { nemo_conv_settings, relative_attention_bias_args, ...sound } = audio_processor.config;
  const { partial_rotary_factor, vision_config, ...text } = rest;
  return JSON.stringify({
    ...text,
    model_type: 'phi4_multimodal',
    rope_parameters: { rope_type: 'default', rope_theta, partial_rotary_factor },
    vision_config: { ...vision_config, crop_size: embd_layer.image_embd_layer.crop_size },
    audio_config: {
      hidden_size: sound.attention_dim,
      num_attention_heads: sound.attention_heads,
      intermediate_size: sound.linear_units,
      depthwise_separable_out_channel: sound.depthwise_seperable_out_channel,
      nemo_conv_channels: nemo_conv_settings.conv_channels,
      bias_max_distance: relative_attention_bias_args.t5_bias_max_distance,
      ...Object.fromEntries(
        [
          ...['activation', 'conv_activation', 'conv_glu_type', 'nemo_activation', 'ext_pw_out_channel'],
          ...['input_size', 'kernel_size', 'num_blocks', 'time_reduction', 'audio_token_id'],
        ].map((key) => [key, sound[key]]),
      ),
    },
  });
}
