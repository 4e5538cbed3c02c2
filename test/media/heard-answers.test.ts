import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';
import { mediaFiles } from '../oracle/vision.js';
import { seeingModel, special } from './seeing-model.js';

describe('a model that writes down a sound while it hears it', function () {
  this.timeout(60_000);
  let llm: LLM;
  let checkpoint: ReturnType<typeof seeingModel>;
  let audio: Uint8Array | undefined;
  before(async () => {
    checkpoint = seeingModel('voxtral_realtime');
    llm = await LLM.load(checkpoint.path, { dtype: 'f32', threads: 2, memoryBudget: '256MiB' });
    [audio] = (await mediaFiles(-1, 16_001, 16_000, 1)).files;
  });
  after(async () => {
    await llm.dispose();
    checkpoint.remove();
  });

  const heard = () => ({ type: 'audio', audio });
  const dialogue = (...content: object[]) => [{ role: 'user', content }];
  // Tokens of 80 ms of a second and a sample, and 10 for a word that is long.
  const ANSWER = 13 + 10;
  const GREEDY = { temperature: 0, ignoreEos: true } as const;

  it('has silence for a prompt, and an answer as long as the sound that ends with it', async () => {
    const { tokens } = await llm.prepare(dialogue(heard()));
    expect([...tokens]).to.deep.equal([1, ...Array<number>(32 + 6).fill(special('[STREAMING_PAD]'))]);
    const whole = await llm.generate(dialogue(heard()), GREEDY);
    expect([whole.tokens.length, whole.finishReason]).to.deep.equal([ANSWER, 'stop']);
    const longer = await llm.generate(dialogue(heard()), { ...GREEDY, maxTokens: 200 });
    expect([longer.tokens, longer.finishReason]).to.deep.equal([whole.tokens, 'stop']);
    const cut = await llm.generate(dialogue(heard()), { ...GREEDY, maxTokens: 5 });
    expect([cut.tokens, cut.finishReason]).to.deep.equal([whole.tokens.slice(0, 5), 'length']);
  });

  it('refuses what it would leave out', async () => {
    for (const [messages, said] of [
      [dialogue(heard(), { type: 'text', text: 'Who?' }), 'one sound, and no text'],
      [[{ role: 'user', content: 'Who?' }], 'writes down a sound'],
      [dialogue(heard(), heard()), 'one sound, and no text'],
      [[...dialogue(heard()), { role: 'assistant', content: 'Nobody.' }], 'one sound, and no text'],
    ] as const) {
      const error = await llm.prepare(messages).then(
        () => undefined,
        (thrown: unknown) => String(thrown),
      );
      expect(error).to.contain(said);
    }
  });
});
