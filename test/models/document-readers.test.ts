import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { DEEPSEEK_OCR_CHAT } from '../../src/models/deepseek_ocr2/chat-format.js';
import { getModel, loadModels } from '../../src/models/get-model.js';
import { GOT_CHAT } from '../../src/models/got_ocr2/chat-format.js';
import { type ChatMessage, ChatTemplate } from '../../src/tokenizer/chat-template.js';
import { encodeWords, mediaFiles, visionCheckpoint } from '../oracle/vision.js';
import { routerOf } from './published-checks.js';

describe('families that read documents', () => {
  before(() => loadModels());

  it('have the conversation that transformers writes for GOT-OCR 2.0', () => {
    const template = new ChatTemplate(GOT_CHAT.template ?? '', 'got_ocr2');
    const page = { type: 'image', image: 'page' };
    const content = [{ type: 'text', text: ' OCR across multi pages: ' }, page, page];
    const said = (messages: readonly unknown[]) =>
      template.render({ messages: messages as ChatMessage[], add_generation_prompt: true });
    const system = 'You should follow the instructions carefully and explain your answers in detail.';
    const asked = '<|im_start|>user\n<img><imgpad><imgpad></img>\n OCR across multi pages: <|im_end|>';
    expect(said([{ role: 'user', content }])).to.equal(
      `<|im_start|>system\n${system}<|im_end|>${asked}<|im_start|>assistant\n`,
    );
    const own = { role: 'system', content: 'Be brief.' };
    expect(said([own, { role: 'user', content: 'Hi' }])).to.equal(
      '<|im_start|>system\nBe brief.<|im_end|><|im_start|>user\nHi<|im_end|><|im_start|>assistant\n',
    );
  });

  it('have the words of DeepSeek-OCR as they are, each page on a line of its own before them', () => {
    const template = new ChatTemplate(DEEPSEEK_OCR_CHAT.template ?? '', 'deepseek_ocr2');
    const content = [
      { type: 'text', text: 'Free OCR.' },
      { type: 'image', image: 'page' },
    ];
    const messages = [{ role: 'user', content }] as unknown as ChatMessage[];
    expect(template.render({ messages, bos_token: '<s>' })).to.equal('<s><image>\nFree OCR.');
  });

  it('leave out the layers of GLM-OCR that guess further tokens', () => {
    const sizes = { hidden_size: 64, intermediate_size: 96, vocab_size: 131, max_position_embeddings: 256 };
    const layers = { num_attention_heads: 8, num_hidden_layers: 16, num_nextn_predict_layers: 1 };
    const text_config = { ...sizes, ...layers, rope_parameters: { mrope_section: [2, 1, 1] } };
    const router = routerOf({ model_type: 'glm_ocr', text_config, vision_config: {} });
    const isHarmless = (layer: number) =>
      router.predictionTensors.some((name) =>
        name.test(`model.language_model.layers.${layer}.eh_proj.weight`),
      );
    expect([15, 16, 17].map(isHarmless)).to.deep.equal([false, true, false]);
  });

  for (const [family, says, names] of [
    ['paddleocr_vl', { patch_size: 16 }, /patch_size .*14, as vision_config says/],
    ['paddleocr_vl', { temporal_patch_size: 2 }, /temporal_patch_size must be .*1/],
    ['hunyuan_vl', { patch_size: 14, merge_size: 4 }, /merge_size .*2, as vision_config says/],
    ['granite_docling', { size: { height: 56, width: 56 }, fine_route: true }, /fine_route must be .*false/],
    ['deepseek_ocr2', { size: { height: 56, width: 56 } }, /size .*64, as image_size says/],
    ['deepseek_vl_v2', { size: { height: 256, width: 256 } }, /tile_size .*160, as image_size says/],
    ['got_ocr2', { size: { height: 56, width: 56 } }, /size .*112, as image_size says/],
  ] as const)
    it(`refuse files of processors by name: ${family}, ${JSON.stringify(says)}`, async () => {
      const checkpoint = visionCheckpoint(family);
      try {
        const file = join(checkpoint.path, 'preprocessor_config.json');
        rmSync(file);
        writeFileSync(file, JSON.stringify(says));
        const refused = await (await getModel(checkpoint.path)).getMediaProcessor(encodeWords).then(
          async (processor) => {
            await processor?.process(await mediaFiles(0, 30, 30, 1), 'it', 0, 1);
            return 'nothing was refused';
          },
          (error: Error) => error.message,
        );
        expect(refused).to.match(names);
      } finally {
        checkpoint.remove();
      }
    });
});
