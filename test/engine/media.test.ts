import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { LLM } from '../../src/engine/llm.js';
import { takeMedia } from '../../src/engine/media/parts.js';
import { readMedia } from '../../src/engine/media/prepare.js';
import { PARunner } from '../../src/engine/pa-runner.js';
import { AtbError, type ErrorCode } from '../../src/errors.js';
import type { Insert } from '../../src/media/index.js';
import { pictureFile } from '../media/pictures.js';
import { bytesOf, seeingModel, shownAs, special } from '../media/seeing-model.js';
import { mediaFiles } from '../oracle/vision.js';

const OPTIONS = {
  threads: 2,
  blockSize: 32,
  dtype: 'f32',
  maxNumSeqs: 4,
  maxModelLen: 400,
  memoryBudget: '256MiB',
} as const;
const ANSWER = { maxTokens: 6, ignoreEos: true, temperature: 0 } as const;

const dataUrl = (bytes: Uint8Array): string =>
  `data:image/png;base64,${Buffer.from(bytes).toString('base64')}`;
const user = (...content: unknown[]) => [{ role: 'user', content }];
const text = (said: string) => ({ type: 'text', text: said });
const image = (given: unknown) => ({ type: 'image', image: given });

async function refusal(code: ErrorCode, work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).to.be.instanceOf(AtbError);
  expect((error as AtbError).code, String(error)).to.equal(code);
  return (error as AtbError).message;
}

describe('prompts with pictures', function () {
  this.timeout(60_000);
  let checkpoint: ReturnType<typeof seeingModel>;
  let folder: string;
  let llm: LLM;
  let [small, tall, frames]: Uint8Array[][] = [];
  before(async () => {
    checkpoint = seeingModel();
    folder = mkdtempSync(join(tmpdir(), 'atb-media-'));
    llm = await LLM.load(checkpoint.path, { ...OPTIONS, allowedLocalMediaPath: join(folder, 'open') });
    small = [...(await mediaFiles(0, 60, 60, 1)).files];
    tall = [...(await mediaFiles(0, 30, 130, 2)).files];
    frames = [...(await mediaFiles(3, 56, 56, 3)).files];
    mkdirSync(join(folder, 'open'));
    writeFileSync(join(folder, 'open', 'small.png'), small[0] as Uint8Array);
    writeFileSync(join(folder, 'secret.png'), small[0] as Uint8Array);
    symlinkSync(join(folder, 'secret.png'), join(folder, 'open', 'link.png'));
  });
  after(async () => {
    await llm.dispose();
    checkpoint.remove();
    rmSync(folder, { recursive: true });
  });

  const inputAt = (inserts: readonly Insert[], index: number) => (inserts[index] as Insert).input;

  it('show several in any order, also without text, between the same tokens as any text', async () => {
    const messages = [
      ...user(image(small?.[0]), image(tall?.[0])),
      { role: 'assistant', content: 'Two.' },
      ...user(text('And '), { type: 'video', video: frames }, text('?'), image(small?.[0])),
    ];
    const { tokens, inserts } = await llm.prepare(messages);
    const turn = (role: string, ...ids: number[]) => [
      special('<|im_start|>'),
      ...bytesOf(`${role}\n`),
      ...ids,
      special('<|im_end|>'),
      ...bytesOf('\n'),
    ];
    const shown = inserts.map(({ input }, index) => shownAs(input, index === 2 ? 'video' : 'image'));
    expect([...tokens]).to.deep.equal([
      ...turn('user', ...(shown[0] ?? []), ...(shown[1] ?? [])),
      ...turn('assistant', ...bytesOf('Two.')),
      ...turn('user', ...bytesOf('And '), ...(shown[2] ?? []), ...bytesOf('?'), ...(shown[3] ?? [])),
      special('<|im_start|>'),
      ...bytesOf('assistant\n'),
    ]);
    expect(inputAt(inserts, 3).key).to.deep.equal(inputAt(inserts, 0).key);
    expect(inputAt(inserts, 1).key).to.not.deep.equal(inputAt(inserts, 0).key);
    expect(inputAt(inserts, 2).grid?.frames).to.equal(2);
    const { text: answer } = await llm.generate(messages, ANSWER);
    const again = await llm.startTokens(tokens, { ...ANSWER, inserts }).result;
    expect(again.text).to.equal(answer);
  });

  it('take bytes, data URLs and files below the allowed folder alike, and see what these hold', async () => {
    const ask = async (part: unknown) => {
      const options = { ...ANSWER, logprobs: 0 };
      const { logprobs } = await llm.generate(user(part, text('What is this?')), options);
      return logprobs.map(({ logprob }) => logprob);
    };
    const bytes = await ask(image(small?.[0]));
    const url = dataUrl(small?.[0] as Uint8Array);
    for (const part of [
      { type: 'image_url', image_url: { url } },
      { type: 'image_url', image_url: url },
      image(url),
      { type: 'image', base64: Buffer.from(small?.[0] as Uint8Array).toString('base64') },
      image(`\n ${url.replace('data:image/png;base64,', 'DATA:IMAGE/PNG;charset=utf-8;Base64, ')}\n`),
      image(url.replaceAll('+', '-').replaceAll('/', '_').replace('data:image_png', 'data:image/png')),
      image(url.replaceAll('+', '%2B').replaceAll('=', '%3D')),
      image(url.replace(/(.{76})/g, '$1\r\n')),
      image('small.png'),
      image(join(folder, 'open', 'small.png')),
      { type: 'image_url', image_url: { url: pathToFileURL(join(folder, 'open', 'small.png')).href } },
    ])
      expect(await ask(part)).to.deep.equal(bytes);
    expect(await ask(image((await mediaFiles(0, 60, 60, 9)).files[0]))).to.not.deep.equal(bytes);
  });

  it('hold sound as base64 or as a data URL, and are told to templates by type and by key', () => {
    const sound = (data: string) => user({ type: 'input_audio', input_audio: { data, format: 'wav' } });
    for (const data of ['UklGRg==', 'data:;base64,UklGRg==', ' DATA:;base64,UklGRg==']) {
      const { messages, parts } = takeMedia(sound(data));
      expect(parts[0]?.sources[0]).to.match(/^ ?data:;base64,UklGRg==$/i);
      expect(messages[0]?.content).to.deep.equal([{ type: 'audio', audio: 'audio' }]);
    }
  });

  it('read nothing else: no network, no other folder, no link to one, no kind that the model does not know', async () => {
    const ask = (part: unknown) => llm.generate(user(part), ANSWER);
    for (const [part, said] of [
      [image('https://example.org/a.png'), 'nothing is fetched from a network'],
      [image('../secret.png'), 'a file below'],
      [image(join(folder, 'secret.png')), 'a file below'],
      [image('link.png'), 'a file below'],
      [image('absent.png'), 'a file below'],
      [image(folder), 'a file below'],
      [image('data:image/png,abc'), 'base64'],
      [image('data:image/png;base64,@@@@'), 'with bytes of a file'],
      [image('data:image/png;base64,AA%E0%A4%A'), 'base64'],
      [image(undefined), 'the bytes of a file'],
      [{ type: 'video', video: [] }, 'a list of frames'],
      [{ type: 'video_url', video_url: { url: 'data:video/mp4;base64,AAAA' } }, 'one of text, image, video'],
      [
        { type: 'file', file: { file_data: 'data:application/pdf;base64,AAAA' } },
        'one of text, image, video',
      ],
      [{ type: 'input_image', image_url: 'data:image/png;base64,AAAA' }, 'one of text, image, video'],
      [{ type: 'text', text: null }, 'messages[0].content[0].text must be a text'],
      [null, 'one of text, image, video'],
      [{ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }, 'one of text, image, video'],
    ] as const)
      expect(await refusal('REQUEST_INVALID', ask(part))).to.contain(said);
    await refusal('MEDIA_INVALID', ask(image(pictureFile('plain.png').subarray(0, 200))));
    await refusal('MEDIA_UNSUPPORTED', ask(image(Buffer.from('GIF?'))));
    const closed = { ...llm.text, allowedLocalMediaPath: undefined };
    expect(await refusal('REQUEST_INVALID', readMedia(user(image('small.png')), closed))).to.contain(
      'allowedLocalMediaPath',
    );
    const blind = readMedia(user(image(small?.[0])), { ...llm.text, media: undefined });
    expect(await refusal('REQUEST_INVALID', blind)).to.contain('this model reads nothing else');
  });

  it('take no placeholder that somebody wrote for a picture', async () => {
    const { tokens, inserts } = await llm.prepare(user(text('<|image_pad|>'), image(small?.[0])));
    expect(inserts).to.have.length(1);
    expect([...tokens].filter((token) => token === special('<|image_pad|>'))).to.have.length(
      inputAt(inserts, 0).count,
    );
    const allowed = llm.prepare(user(text('<|image_pad|>'), image(small?.[0])), { allowSpecialTokens: true });
    expect(await refusal('REQUEST_INVALID', allowed)).to.contain('a place for each image');
  });

  it('are found in the cache by the next turn of a dialogue', async () => {
    const session = llm.chat();
    await session.ask(
      { role: 'user', content: [image(tall?.[0]), text('What do you see in this picture?')] },
      ANSWER,
    );
    const before = llm.stats.prefixHitTokens;
    const answer = await session.ask('And what else is there, do you think?', ANSWER);
    expect(llm.stats.prefixHitTokens).to.be.greaterThan(before);
    const { text: fresh } = await llm.generate(session.messages.slice(0, -1), {
      ...ANSWER,
      cacheSalt: 'other',
    });
    expect(fresh).to.equal(answer);
  });

  it('are searched by beams', async () => {
    const prompt = user(image(small?.[0]), text('!'));
    const [best] = await llm.beamSearch(prompt, { beamWidth: 2, maxTokens: 3, ignoreEos: true });
    const other = user(image((await mediaFiles(0, 60, 60, 9)).files[0]), text('!'));
    const [others] = await llm.beamSearch(other, { beamWidth: 2, maxTokens: 3, ignoreEos: true });
    expect(best?.cumulativeLogprob).to.not.equal(others?.cumulativeLogprob);
  });

  it('are dialogues of PARunner, with the same answers', async () => {
    const dialogue = user(image(small?.[0]), text('What is this?'));
    const { tokens } = await llm.generate(dialogue, ANSWER);
    const runner = await PARunner.load({
      modelPath: checkpoint.path,
      threads: 2,
      dtype: 'f32',
      maxBatchSize: 2,
      maxInputLength: 300,
      maxOutputLength: 6,
      memoryBudget: 2 ** 27,
    });
    try {
      const dialogues = [dialogue, user(text('Nothing to see.'))];
      const { answers } = await runner.infer(
        { kind: 'dialogues', dialogues },
        { ignoreEos: true },
        { isChatModel: true },
      );
      expect(answers[0]?.tokens).to.deep.equal(tokens);
      expect(() => runner.encode(dialogue)).to.throw(AtbError, 'while this thread does other things');
    } finally {
      await runner.dispose();
    }
  });

  for (const quantized of [{ quantize: 'w8a8_dynamic' }, { quantize: 'w8a16' }, { kvQuant: 'int8' }] as const)
    it(`are seen by weights and caches of integers, too: ${JSON.stringify(quantized)}`, async () => {
      const prompt = user(image(tall?.[0]), text('What is this?'));
      const first = async (model: LLM) =>
        (await model.generate(prompt, { ...ANSWER, logprobs: 0 })).logprobs[0]?.logprob ?? Number.NaN;
      const other = await LLM.load(checkpoint.path, { ...OPTIONS, dtype: 'bf16', ...quantized });
      try {
        expect(await first(other)).to.be.closeTo(await first(llm), 0.3);
      } finally {
        await other.dispose();
      }
    });

  it('refuse inserts that do not fit the prompt', async () => {
    const { tokens, inserts } = await llm.prepare(user(image(small?.[0])));
    const start = (given: unknown) => () =>
      llm.startTokens(tokens, { ...ANSWER, inserts: given as readonly Insert[] });
    const [one] = inserts as [Insert];
    for (const wrong of [
      'no list',
      [one, one],
      [{ ...one, start: tokens.length - 1 }],
      [{ ...one, start: -1 }],
    ])
      expect(start(wrong)).to.throw(AtbError, 'REQUEST_INVALID');
  });
});

describe('prompts with pictures for a template that knows texts alone', function () {
  this.timeout(60_000);
  let checkpoint: ReturnType<typeof seeingModel>;
  let llm: LLM;
  let wide: Uint8Array | undefined;
  before(async () => {
    checkpoint = seeingModel('internvl_chat-qwen2');
    llm = await LLM.load(checkpoint.path, OPTIONS);
    [wide] = (await mediaFiles(0, 120, 56, 1)).files;
  });
  after(async () => {
    await llm.dispose();
    checkpoint.remove();
  });

  it('show tiles in a line of their own, and no words of the user for a picture', async () => {
    const messages = user(image(wide), text('<IMG_CONTEXT>?'));
    const { tokens, inserts } = await llm.prepare(messages);
    // Two tiles and the whole picture, four tokens each.
    expect(inserts.map(({ input }) => input.count)).to.deep.equal([4, 4, 4]);
    expect(new Set(inserts.map(({ input }) => input.key.join())).size).to.equal(3);
    expect([...tokens]).to.deep.equal([
      special('<|im_start|>'),
      ...bytesOf('user\n'),
      special('<img>'),
      ...Array<number>(12).fill(special('<IMG_CONTEXT>')),
      special('</img>'),
      ...bytesOf('\n<IMG_CONTEXT>?'),
      special('<|im_end|>'),
      ...bytesOf('\n'),
      special('<|im_start|>'),
      ...bytesOf('assistant\n'),
    ]);
    const { logprobs } = await llm.generate(messages, { ...ANSWER, logprobs: 0 });
    const other = image((await mediaFiles(0, 120, 56, 9)).files[0]);
    const { logprobs: others } = await llm.generate(user(other, text('<IMG_CONTEXT>?')), {
      ...ANSWER,
      logprobs: 0,
    });
    expect(logprobs[0]?.logprob).to.not.equal(others[0]?.logprob);
  });

  it('show frames as a tile each in lines of their own, in order with pictures that have the same token', async () => {
    const messages = user({ type: 'video', video: [wide, wide] }, text('?'), image(wide));
    const { tokens, inserts } = await llm.prepare(messages);
    const tiles = (count: number) => [
      special('<img>'),
      ...Array<number>(4 * count).fill(special('<IMG_CONTEXT>')),
      special('</img>'),
    ];
    expect([...tokens]).to.deep.equal([
      special('<|im_start|>'),
      ...bytesOf('user\n'),
      ...[...bytesOf('Frame1: '), ...tiles(1), ...bytesOf('\nFrame2: '), ...tiles(1)],
      ...[...bytesOf('\n?\n'), ...tiles(3)],
      special('<|im_end|>'),
      ...bytesOf('\n'),
      special('<|im_start|>'),
      ...bytesOf('assistant\n'),
    ]);
    expect(new Set(inserts.map(({ input }) => input.key.join())).size).to.equal(5);
    expect((await llm.generate(messages, ANSWER)).tokens).to.have.length(ANSWER.maxTokens);
  });
});
