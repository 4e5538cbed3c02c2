import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';
import { openModel } from '../../src/runner/open-model.js';
import type { ChatMessage } from '../../src/tokenizer/chat-template.js';
import { type SeededWeights, seededSafetensors } from '../oracle/seeded-weights.js';
import { mediaFiles, VISION_DIR, visionCheckpoint } from '../oracle/vision.js';
import { bytesOf, seeingModel, special } from './seeing-model.js';

type Prepared = Awaited<ReturnType<LLM['prepare']>>;

/** What a model makes of a dialogue whose first message begins with a picture. */
async function prepared(
  name: Parameters<typeof seeingModel>[0],
  text: string,
  others: readonly ChatMessage[] = [],
): Promise<Prepared> {
  const checkpoint = seeingModel(name);
  const llm = await LLM.load(checkpoint.path, { dtype: 'f32', threads: 2, memoryBudget: '256MiB' });
  try {
    const [image] = (await mediaFiles(0, 90, 60, 1)).files;
    const content = [
      { type: 'image', image },
      { type: 'text', text },
    ];
    return await llm.prepare([{ role: 'user', content }, ...others]);
  } finally {
    await llm.dispose();
    checkpoint.remove();
  }
}

describe('a model whose tokenizer has no token for a picture', () => {
  it('lets another one stand for it, which in a text is a text', async () => {
    const { tokens, inserts } = await prepared('llava_qwen2', '<|endoftext|>?');
    expect(inserts.map(({ start, input }) => [start, input.count])).to.deep.equal([[6, 16]]);
    // 120 is what the case has as `image_token_index`.
    expect([...tokens]).to.deep.equal([
      ...[special('<|im_start|>'), ...bytesOf('user\n'), ...Array<number>(16).fill(120)],
      ...[...bytesOf('\n<|endoftext|>?'), special('<|im_end|>'), ...bytesOf('\n')],
      ...[special('<|im_start|>'), ...bytesOf('assistant\n')],
    ]);
  });

  const [bos, eos] = [special('<|im_start|>'), special('<|im_end|>')];
  const turns = [
    { role: 'assistant', content: 'A.' },
    { role: 'user', content: 'B?' },
  ];
  const picture = (count: number) => Array<number>(count).fill(special('<image>'));
  const system =
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions. ";

  it('writes turns as LLaVA does with Vicuna', async () => {
    const { tokens } = await prepared('llava_llama', 'Q?', turns);
    expect([...tokens]).to.deep.equal([
      ...[bos, ...bytesOf(`${system}USER: `), ...picture(17), ...bytesOf('\nQ? ASSISTANT: A.'), eos],
      ...bytesOf('USER: B? ASSISTANT:'),
    ]);
  });

  it('and with Mistral, whose pictures are tiles', async () => {
    const { tokens, inserts } = await prepared('llava_mistral', 'Q?', turns);
    const count = inserts[0]?.input.count ?? 0;
    expect(count).to.be.above(16);
    expect([...tokens]).to.deep.equal([
      ...[bos, ...bytesOf('[INST] '), ...picture(count), ...bytesOf('\nQ? [/INST] A. '), eos],
      ...bytesOf('[INST] B? [/INST]'),
    ]);
  });

  it('is refused with the way out where its encoder is in another checkpoint', async () => {
    const { path, remove } = visionCheckpoint('llava_llama');
    try {
      const recipe: SeededWeights = JSON.parse(
        readFileSync(join(VISION_DIR, 'llava_llama', 'weights.json'), 'utf8'),
      );
      const own = Object.entries(recipe.tensors).filter(([name]) => !name.includes('vision_tower'));
      const tensors = Object.fromEntries(own);
      writeFileSync(join(path, 'model.safetensors'), seededSafetensors({ ...recipe, tensors }));
      const error = await openModel({ modelPath: path }).then(
        () => undefined,
        (thrown: unknown) => String(thrown),
      );
      expect(error).to.match(/WEIGHT_NOT_FOUND.*mm_vision_tower names.*llava-hf\/llava-1\.5-7b-hf/);
    } finally {
      remove();
    }
  });
});
