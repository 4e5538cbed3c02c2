import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';
import { PARunner } from '../../src/engine/pa-runner.js';
import { AtbError } from '../../src/errors.js';
import { getModel } from '../../src/models/get-model.js';
import { bytesOf, seeingModel, special } from '../media/seeing-model.js';
import { encodeWords, mediaFiles, visionCheckpoint } from '../oracle/vision.js';
import { type Served, serveTiny } from '../server/served.js';

const OPTIONS = {
  threads: 2,
  blockSize: 32,
  dtype: 'f32',
  maxModelLen: 400,
  memoryBudget: '256MiB',
} as const;
const ANSWER = { maxTokens: 6, ignoreEos: true, temperature: 0 } as const;
/** Rows of each picture or slice. */
const ROWS = 7;

describe('prompts with pictures in slices', function () {
  this.timeout(60_000);
  const checkpoint = seeingModel('minicpm_qwen2_v2');
  let llm: LLM;
  let served: Served;
  let [small, tall]: Uint8Array[] = [];
  before(async () => {
    llm = await LLM.load(checkpoint.path, OPTIONS);
    served = await serveTiny({}, { dtype: 'f32', maxModelLen: 400 }, checkpoint.path);
    [small] = (await mediaFiles(0, 30, 50, 1)).files as [Uint8Array];
    [tall] = (await mediaFiles(0, 70, 121, 2)).files as [Uint8Array];
  });
  after(async () => {
    await llm.dispose();
    await served.stop();
    checkpoint.remove();
  });

  const text = (said: string) => ({ type: 'text', text: said });
  const image = (given: unknown) => ({ type: 'image', image: given });
  const user = (...content: unknown[]) => ({ role: 'user', content });
  const rows = Array<number>(ROWS).fill(special('<unk>'));
  /** The ids of a picture that is cut into that many slices, one below the other. */
  const shown = (number: number, slices: number): number[] => [
    ...[special('<image_id>'), ...bytesOf(`${number}`), special('</image_id>')],
    ...[special('<image>'), ...rows, special('</image>')],
    ...Array.from({ length: slices }, (_, slice) => [
      ...(slice > 0 ? bytesOf('\n') : []),
      ...[special('<slice>'), ...rows, special('</slice>')],
    ]).flat(),
  ];
  const turn = (role: string, ...ids: number[]) => [
    ...[special('<|im_start|>'), ...bytesOf(`${role}\n`), ...ids, special('<|im_end|>')],
    ...bytesOf('\n'),
  ];

  it('number them through all turns, and join what a template would print by line breaks', async () => {
    const { tokens, inserts } = await llm.prepare([
      user(image(small), text('What is this?')),
      { role: 'assistant', content: 'A.' },
      user(text('And'), image(tall), image(small)),
    ]);
    expect([...tokens]).to.deep.equal([
      ...turn('user', ...shown(0, 0), ...bytesOf('\nWhat is this?')),
      ...turn('assistant', ...bytesOf('A.')),
      ...turn('user', ...bytesOf('And\n'), ...shown(1, 2), ...bytesOf('\n'), ...shown(2, 0)),
      ...[special('<|im_start|>'), ...bytesOf('assistant\n')],
    ]);
    const upright = [1, 5, 3];
    const squares = [1, 4, 4];
    const shapes = [upright, upright, squares, squares, upright];
    expect(inserts.map(({ input }) => input.shape)).to.deep.equal(shapes);
    const keys = inserts.map(({ input }) => input.key.join());
    expect(new Set(keys).size, 'each slice is its own').to.equal(4);
    expect(keys[4]).to.equal(keys[0]);
  });

  it('take nothing that somebody wrote for a picture', async () => {
    const { inserts } = await llm.prepare([user(text('<unk><image>(<image>./</image>)'), image(small))]);
    expect(inserts).to.have.length(1);
  });

  it('show frames without numbers, each in at most two slices', async () => {
    const [wide] = (await mediaFiles(0, 168, 170, 2)).files;
    const frames = { type: 'video', video: [small, wide] };
    const { tokens, inserts } = await llm.prepare([user(frames, image(small), text('?'))]);
    const picture = [special('<image>'), ...rows, special('</image>')];
    const slice = [special('<slice>'), ...rows, special('</slice>')];
    expect([...tokens]).to.deep.equal([
      ...turn(
        'user',
        ...[...picture, ...bytesOf('\n'), ...picture, ...slice, ...bytesOf('\n'), ...slice],
        ...[...bytesOf('\n'), ...shown(0, 0), ...bytesOf('\n?')],
      ),
      ...[special('<|im_start|>'), ...bytesOf('assistant\n')],
    ]);
    expect(new Set(inserts.map(({ input }) => input.key.join())).size).to.equal(5);
  });

  it('get the same answers from the library, from PARunner and from a server', async () => {
    const dialogue = [user(image(tall), text('What is this?'))];
    const { tokens, text: answer } = await llm.generate(dialogue, ANSWER);
    const runner = await PARunner.load({
      modelPath: checkpoint.path,
      threads: 2,
      dtype: 'f32',
      maxInputLength: 300,
      maxOutputLength: 6,
      memoryBudget: 2 ** 27,
    });
    try {
      const { answers } = await runner.infer(
        { kind: 'dialogues', dialogues: [dialogue] },
        { ignoreEos: true },
        { isChatModel: true },
      );
      expect(answers[0]?.tokens).to.deep.equal(tokens);
    } finally {
      await runner.dispose();
    }
    const url = `data:image/png;base64,${Buffer.from(tall as Uint8Array).toString('base64')}`;
    const content = [{ type: 'image_url', image_url: { url } }, text('What is this?')];
    const body = { model: 'tiny', messages: [{ role: 'user', content }], max_tokens: 6, temperature: 0 };
    const response = await fetch(`${served.address}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, ignore_eos: true }),
    });
    expect(await response.json()).to.have.nested.property('choices[0].message.content', answer);
  });

  it('are answered up to either token that ends a text in the published code', () => {
    const ends = ['<|im_end|>', '<|endoftext|>'] as const;
    expect([...llm.text.postprocessor.eosTokenIds]).to.include.members(ends.map(special));
  });

  it('are found in the cache by the next turn of a dialogue', async () => {
    const session = llm.chat();
    await session.ask(user(image(tall), text('What do you see in this picture?')), ANSWER);
    const before = llm.stats.prefixHitTokens;
    const answer = await session.ask('And what else is there, do you think?', ANSWER);
    expect(llm.stats.prefixHitTokens).to.be.greaterThan(before);
    const fresh = { ...ANSWER, cacheSalt: 'other' };
    expect((await llm.generate(session.messages.slice(0, -1), fresh)).text).to.equal(answer);
  });

  it('are seen by weights of integers, too', async () => {
    const prompt = [user(image(tall), text('What is this?'))];
    const options = { ...ANSWER, logprobs: 0 };
    const [floats] = (await llm.generate(prompt, options)).logprobs;
    for (const quantize of ['w8a8_dynamic', 'w8a16'] as const) {
      const other = await LLM.load(checkpoint.path, { ...OPTIONS, dtype: 'bf16', quantize });
      const [integers] = (await other.generate(prompt, options)).logprobs;
      await other.dispose();
      expect(integers?.logprob, quantize).to.be.closeTo(floats?.logprob ?? Number.NaN, 0.3);
    }
  });
});

describe('a checkpoint with pictures in slices', () => {
  const refusalOf = async (file: string, changes: object, name = 'minicpm_qwen2_v2'): Promise<string> => {
    const checkpoint = visionCheckpoint(name);
    try {
      const path = join(checkpoint.path, file);
      const { default: found } = await import(path, { with: { type: 'json' } });
      writeFileSync(path, JSON.stringify({ ...found, ...changes }));
      const router = await getModel(checkpoint.path);
      await router.getMediaProcessor(encodeWords);
      return 'nothing was refused';
    } catch (error) {
      return error instanceof AtbError ? `${error.code}: ${error.message}` : String(error);
    } finally {
      checkpoint.remove();
    }
  };

  it('is refused by name where it is another version of MiniCPM-V', async () => {
    for (const version of [undefined, 2, 2.5, 4.5])
      expect(await refusalOf('config.json', { version }))
        .to.contain('CONFIG_INVALID')
        .and.to.contain('2.6 or 4');
    expect(await refusalOf('config.json', { version: '2.6' })).to.equal('nothing was refused');
  });

  it('is refused where its files contradict each other', async () => {
    const file = 'preprocessor_config.json';
    for (const [changes, said] of [
      [{ image_feature_size: 64 }, 'image_feature_size'],
      [{ patch_size: 16 }, 'patch_size'],
      [{ slice_mode: false }, 'slice_mode must be true'],
      [{ norm_mean: [0.5] }, 'norm_mean must have 3 numbers'],
    ] as const)
      expect(await refusalOf(file, changes)).to.contain(said);
  });

  it('is refused where it asks of MiniCPM-V 4.6 or MiniCPM-OCR what is not built', async () => {
    const [pictures, frames] = ['preprocessor_config.json', 'video_preprocessor_config.json'];
    for (const [file, changes, said] of [
      [pictures, { downsample_mode: '16x' }, 'downsample_mode must be 4x, as config.json says'],
      [pictures, { small_image_upsize: 'adaptive' }, 'small_image_upsize must be one of always, never'],
      [frames, { stack_frames: 3 }, 'stack_frames must be 1'],
    ] as const)
      expect(await refusalOf(file, changes, 'minicpm_ocr')).to.contain(said);
    expect(await refusalOf(pictures, { small_image_upsize: 'never' }, 'minicpm_ocr')).to.equal(
      'nothing was refused',
    );
  });
});
