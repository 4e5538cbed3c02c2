import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { isObject } from '../../src/is-object.js';
import type { ConfigDict } from '../../src/layers/config/index.js';
import { loadModels } from '../../src/models/get-model.js';
import { getRouter } from '../../src/router/index.js';
import { VISION_DIR, visionCases } from '../oracle/vision.js';
import { problemsOf } from './config-problems.js';

const HEADS = ['num_heads', 'num_attention_heads', 'encoder_attention_heads', 'attention_heads'];

/** What a case's file says, also where an object of its own says it. */
function configOf(name: string): ConfigDict {
  const { thinker_config, ...rest } = JSON.parse(readFileSync(join(VISION_DIR, name, 'config.json'), 'utf8'));
  return { ...thinker_config, ...rest };
}

describe('the heads of an encoder', () => {
  before(() => loadModels());

  // Files of Gemma 3n, Gemma 4, Granite Speech and Voxtral Realtime say how large a head is, and so any number of them
  // fits; FastVLM's heads have one size; Fuyu has none; those of DeepSeek's readers lie in encoders within others.
  for (const name of visionCases.filter(
    (each) =>
      !/^(deepseek_(ocr2|vl_v2)|fast_vlm|fuyu|gemma(4|3n)|llava_qwen2|granite_speech|voxtral_realtime)/.test(
        each,
      ),
  ))
    it(`of ${name} must cut its rows into equal pieces`, () => {
      const dict = configOf(name);
      const part = ['vision_config', 'audio_config'].find((key) => isObject(dict[key])) as string;
      const encoder = dict[part] as Record<string, unknown>;
      // What timm is told lies deeper.
      const args = isObject(encoder.model_args) ? encoder.model_args : undefined;
      const own = HEADS.find((one) => one in (args ?? encoder)) ?? 'num_attention_heads';
      const key = args ? `model_args.${own}` : own;
      const problemsWith = (heads: number) => {
        const changed = args ? { model_args: { ...args, [own]: heads } } : { [own]: heads };
        const config = { ...dict, [part]: { ...encoder, ...changed } };
        return problemsOf(() => new (getRouter(String(dict.model_type)))('', config).config);
      };
      expect(problemsWith(4), 'the heads of the case').to.deep.equal([]);
      const [problem = ''] = problemsWith(7);
      expect(problem).to.match(
        new RegExp(`^${part}\\.${key} must cut (hidden_size|embed_dim|d_model) \\(\\d+\\)`),
      );
      expect(problem).to.match(/, found 7$/);
    });

  it('that turn by two axes have sizes that are multiples of 4', () => {
    const dict = configOf('qwen2_vl');
    const changed = { ...dict, vision_config: { ...(dict.vision_config as object), num_heads: 32 } };
    expect(problemsOf(() => new (getRouter('qwen2_vl'))('', changed).config)).to.deep.equal([
      'vision_config.num_heads must cut embed_dim (64) into heads whose size is a multiple of 4, found 32',
    ]);
  });
});
