import { expect } from 'chai';
import OpenAI from 'openai';
import { LLM } from '../../src/engine/llm.js';
import { PARunner } from '../../src/engine/pa-runner.js';
import { bytesOf, seeingModel, special } from '../media/seeing-model.js';
import { mediaFiles } from '../oracle/vision.js';
import { openAiOf, type Served, serveTiny } from './served.js';

const ANSWER = { maxTokens: 4, ignoreEos: true, temperature: 0 } as const;

describe('a model that hears', function () {
  this.timeout(60_000);
  let served: Served;
  let checkpoint: ReturnType<typeof seeingModel>;
  let llm: LLM;
  let openai: OpenAI;
  let [sound, other]: string[] = [];
  before(async () => {
    checkpoint = seeingModel('voxtral');
    served = await serveTiny({}, { dtype: 'f32' }, checkpoint.path);
    openai = openAiOf(served, 'key');
    llm = await LLM.load(checkpoint.path, { dtype: 'f32', threads: 2, memoryBudget: '256MiB' });
    // 0.7 s, of which two stretches are made, six tokens each.
    const base64 = async (seed: number) =>
      Buffer.from((await mediaFiles(-1, 11_201, 16_000, seed)).files[0] ?? []).toString('base64');
    [sound, other] = [await base64(1), await base64(2)];
  });
  after(async () => {
    await llm.dispose();
    await served.stop();
    checkpoint.remove();
  });

  const part = (data = '') => ({
    type: 'input_audio' as const,
    input_audio: { data, format: 'wav' as const },
  });
  const text = (said: string) => ({ type: 'text' as const, text: said });
  const messages = (data?: string) => [
    { role: 'system' as const, content: 'Listen.' },
    { role: 'user' as const, content: [text('Who? '), part(data), text('!')] },
  ];

  it('writes turns as its publisher does, whose files have no template, and asks for transcripts', async () => {
    const { tokens, inserts } = await llm.prepare(messages(sound), {
      chatTemplateKwargs: { transcribe: true, language: 'en' },
    });
    expect(inserts.map(({ input }) => input.count)).to.deep.equal([6, 6]);
    expect(new Set(inserts.map(({ input }) => input.key.join())).size).to.equal(2);
    expect([...tokens]).to.deep.equal([
      special('<|im_start|>'),
      ...bytesOf('[SYSTEM_PROMPT]Listen.[/SYSTEM_PROMPT][INST]Who? '),
      special('[BEGIN_AUDIO]'),
      ...Array<number>(12).fill(special('[AUDIO]')),
      ...bytesOf('![/INST]lang:en[TRANSCRIBE]'),
    ]);
  });

  it('answers the same through the library, the runner of prompts and both APIs of the server', async () => {
    const { text: said, tokens, logprobs } = await llm.generate(messages(sound), { ...ANSWER, logprobs: 0 });
    const { logprobs: others } = await llm.generate(messages(other), { ...ANSWER, logprobs: 0 });
    expect(others[0]?.logprob).to.not.equal(logprobs[0]?.logprob);

    const settings = { model: 'tiny', temperature: 0 };
    const completion = await openai.chat.completions.create({
      ...{ ...settings, max_tokens: 4, messages: messages(sound) },
      ...({ ignore_eos: true } as object),
    });
    expect(completion.choices[0]?.message.content).to.equal(said);
    const content = [{ type: 'input_text', text: 'Who? ' }, part(sound), { type: 'input_text', text: '!' }];
    const response = await openai.responses.create({
      ...{ ...settings, max_output_tokens: 4, instructions: 'Listen.' },
      input: [{ role: 'user', content: content as OpenAI.Responses.ResponseInputContent[] }],
      ...({ ignore_eos: true } as object),
    });
    expect(response.output_text).to.equal(said);

    const runner = await PARunner.load({
      ...{ modelPath: checkpoint.path, threads: 2, dtype: 'f32', maxBatchSize: 1, memoryBudget: 2 ** 27 },
      ...{ maxInputLength: 200, maxOutputLength: 4 },
    });
    try {
      const dialogues = [messages(sound)];
      const { answers } = await runner.infer(
        { kind: 'dialogues', dialogues },
        { ignoreEos: true },
        { isChatModel: true },
      );
      expect(answers[0]?.tokens).to.deep.equal(tokens);
    } finally {
      await runner.dispose();
    }
  });

  it('refuses other files by their place', async () => {
    const wrong = openai.chat.completions.create({ model: 'tiny', messages: messages('ZkxhQw==') });
    const error = await wrong.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(OpenAI.BadRequestError);
    expect(String(error)).to.contain('messages[1].content[1]').and.contain('a WAV file');
  });
});
