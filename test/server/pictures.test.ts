import Anthropic from '@anthropic-ai/sdk';
import { expect } from 'chai';
import OpenAI from 'openai';
import { pictureFile } from '../media/pictures.js';
import { seeingModel, special } from '../media/seeing-model.js';
import { openAiOf, type Served, serveTiny } from './served.js';

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const dataUrl = (bytes: Uint8Array) => `data:image/png;base64,${base64(bytes)}`;
const PNG = pictureFile('plain.png');
const BROKEN = PNG.subarray(0, 90);
/** What is not read, and what is said of it. */
const REFUSED = [
  ['https://example.org/a.png', 'nothing is fetched from a network'],
  ['file:///etc/passwd', 'allowedLocalMediaPath'],
  [dataUrl(BROKEN), 'cannot be decoded'],
  ['data:image/png;base64,', 'with bytes of a file'],
] as const;

describe('the server, shown pictures', function () {
  this.timeout(60_000);
  let served: Served;
  let checkpoint: ReturnType<typeof seeingModel>;
  let openai: OpenAI;
  let anthropic: Anthropic;
  before(async () => {
    checkpoint = seeingModel();
    served = await serveTiny({}, { dtype: 'f32' }, checkpoint.path);
    openai = openAiOf(served, 'key');
    anthropic = new Anthropic({ baseURL: served.address, apiKey: 'key', maxRetries: 0 });
  });
  after(async () => {
    await served.stop();
    checkpoint.remove();
  });

  const text = 'What is this?';
  const chat = (url: string) =>
    openai.chat.completions.create({
      ...{ model: 'tiny', max_tokens: 4, temperature: 0 },
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image_url', image_url: { url } },
            { type: 'text', text },
          ],
        },
      ],
    });
  it("takes the Responses API's words for a picture in a chat", async () => {
    const asked = (part: object) =>
      openai.chat.completions.create({
        ...{ model: 'tiny', max_tokens: 4, temperature: 0 },
        messages: [{ role: 'user', content: [part as OpenAI.ChatCompletionContentPartImage] }],
      });
    const url = dataUrl(PNG);
    const { choices, usage } = await asked({ type: 'input_image', image_url: url });
    const usual = await asked({ type: 'image_url', image_url: { url } });
    expect([choices[0]?.message, usage?.prompt_tokens]).to.deep.equal([
      usual.choices[0]?.message,
      usual.usage?.prompt_tokens,
    ]);
  });

  const message = (
    source: Anthropic.ImageBlockParam['source'],
    more: Partial<Anthropic.MessageCreateParamsNonStreaming> = {},
  ) =>
    anthropic.messages.create({
      ...{ model: 'tiny', max_tokens: 4, temperature: 0, ...more },
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source },
            { type: 'text', text },
          ],
        },
      ],
    });
  const respond = (...content: OpenAI.Responses.ResponseInputContent[]) =>
    openai.responses.create({
      ...{ model: 'tiny', max_output_tokens: 4, temperature: 0 },
      input: [{ role: 'user', content: [...content, { type: 'input_text', text }] }],
    });
  const image = (image_url: string) => ({ type: 'input_image', image_url, detail: 'auto' }) as const;
  const refusal = async (
    work: Promise<unknown>,
  ): Promise<Pick<InstanceType<typeof OpenAI.APIError>, 'status' | 'message'>> => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error instanceof OpenAI.APIError || error instanceof Anthropic.APIError) return error;
    throw new Error('it was accepted', { cause: error });
  };

  it('counts their tokens and answers the same, whatever API they come by', async () => {
    const response = await fetch(`${served.address}/tokenize`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'tiny',
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image_url', image_url: { url: dataUrl(PNG) } },
              { type: 'text', text },
            ],
          },
        ],
      }),
    });
    const { tokens } = (await response.json()) as { tokens: number[] };
    expect(tokens.filter((token) => token === special('<|image_pad|>'))).to.have.length(6);

    const completion = await chat(dataUrl(PNG));
    expect(completion.usage?.prompt_tokens).to.equal(tokens.length);
    const said = completion.choices[0]?.message.content ?? '';
    const source = { type: 'base64', media_type: 'image/png', data: base64(PNG) } as const;
    const { content, usage } = await message(source);
    expect(content).to.deep.equal([{ type: 'text', text: said }]);
    expect(usage.input_tokens + (usage.cache_read_input_tokens ?? 0)).to.equal(tokens.length);
    const whole = { ...source, data: dataUrl(PNG) };
    expect((await message(whole)).content, 'a data URL in place of base64').to.deep.equal(content);
    const { input_tokens: counted } = await anthropic.messages.countTokens({
      model: 'tiny',
      messages: [
        {
          role: 'user',
          content: [
            { type: 'image', source },
            { type: 'text', text },
          ],
        },
      ],
    });
    expect(counted).to.equal(tokens.length);
    const { output_text: words, usage: used } = await respond(image(dataUrl(PNG)));
    expect(words).to.equal(said);
    expect(used?.input_tokens).to.equal(tokens.length);
    const other = await chat(dataUrl(pictureFile('alpha.png')));
    expect(other.usage?.prompt_tokens_details?.cached_tokens ?? 0).to.be.below(tokens.length - 6);
  });

  it('sees those in the results of tools', async () => {
    const shown = await anthropic.messages.countTokens({
      model: 'tiny',
      messages: [
        {
          role: 'user',
          content: [
            {
              type: 'tool_result',
              tool_use_id: 'toolu_1',
              content: [
                { type: 'text', text: 'done' },
                { type: 'image', source: { type: 'url', url: dataUrl(PNG) } },
              ],
            },
          ],
        },
      ],
    });
    const plain = await anthropic.messages.countTokens({
      model: 'tiny',
      messages: [
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'done' }] },
      ],
    });
    expect(shown.input_tokens - plain.input_tokens).to.equal(8);
  });

  it('refuses them by their own names with what is wrong with them', async () => {
    for (const [url, said] of REFUSED) {
      const error = await refusal(chat(url));
      expect(error.status).to.equal(400);
      expect(error.message).to.contain(said);
      const { message: ofResponses } = await refusal(respond(image(url)));
      expect(ofResponses).to.contain(said).and.contain('input.0.content.0');
      // What the system says comes first in the prompt, and counts for no place of the client's.
      const more = { system: 'Be kind.' };
      const { status, message: ofMessages } = await refusal(message({ type: 'url', url }, more));
      expect(status).to.equal(400);
      expect(ofMessages).to.contain(said).and.contain('messages.0.content.0');
    }
    const broken = { type: 'base64', media_type: 'image/png', data: base64(BROKEN) } as const;
    expect((await refusal(message(broken))).message).to.contain('cannot be decoded');
  });

  it('refuses by name what it does not read', async () => {
    const file = await refusal(respond({ type: 'input_file', file_data: dataUrl(PNG), filename: 'a.pdf' }));
    expect(file.message).to.contain('a part of type "input_file"');
    const stored = await refusal(respond({ type: 'input_image', file_id: 'file-1', detail: 'auto' }));
    expect(stored.message).to.contain('a part of type "input_image"').and.contain('by their bytes');
    const sound = { type: 'input_audio', input_audio: { data: '', format: 'wav' } };
    expect((await refusal(respond(sound as never))).message).to.contain('one of text, image, video');
    const wrong = await refusal(message({ type: 'file', file_id: 'file_1' } as never));
    expect(wrong.message).to.contain('messages.0.content.0.source').and.contain('must be base64');
    const source = { type: 'base64', media_type: 'application/pdf', data: 'AAAA' };
    const document = { type: 'document', source };
    const content = [document] as Anthropic.ContentBlockParam[];
    const papers = anthropic.messages.create({
      ...{ model: 'tiny', max_tokens: 4 },
      messages: [{ role: 'user', content }],
    });
    expect((await refusal(papers)).message).to.match(/a part of type \W+document\W+: text, pictures/);
  });
});
