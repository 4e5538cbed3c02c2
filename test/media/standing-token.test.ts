import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';
import { mediaFiles } from '../oracle/vision.js';
import { bytesOf, seeingModel, special } from './seeing-model.js';

describe('a model whose tokenizer has no token for a picture', () => {
  it('lets another one stand for it, which in a text is a text', async () => {
    const checkpoint = seeingModel('llava_qwen2');
    const llm = await LLM.load(checkpoint.path, { dtype: 'f32', threads: 2, memoryBudget: '256MiB' });
    try {
      const [image] = (await mediaFiles(0, 90, 60, 1)).files;
      const content = [
        { type: 'image', image },
        { type: 'text', text: '<|endoftext|>?' },
      ];
      const { tokens, inserts } = await llm.prepare([{ role: 'user', content }]);
      expect(inserts.map(({ start, input }) => [start, input.count])).to.deep.equal([[6, 16]]);
      // 120 is what the case has as `image_token_index`.
      expect([...tokens]).to.deep.equal([
        ...[special('<|im_start|>'), ...bytesOf('user\n'), ...Array<number>(16).fill(120)],
        ...[...bytesOf('\n<|endoftext|>?'), special('<|im_end|>'), ...bytesOf('\n')],
        ...[special('<|im_start|>'), ...bytesOf('assistant\n')],
      ]);
    } finally {
      await llm.dispose();
      checkpoint.remove();
    }
  });
});
