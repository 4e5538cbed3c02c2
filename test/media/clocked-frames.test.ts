import { expect } from 'chai';
import { type EncodeWords, type MediaProcessor, numberWords, placeInserts } from '../../src/media/index.js';
import { getModel } from '../../src/models/get-model.js';
import { type ChatMessage, ChatTemplate } from '../../src/tokenizer/chat-template.js';
import { mediaFiles, visionCheckpoint } from '../oracle/vision.js';

/** Ids of the case: of a picture's rows. */
const IMAGE = 120;

describe('frames of SmolVLM', () => {
  const asked: string[] = [];
  let checkpoint: ReturnType<typeof visionCheckpoint>;
  let processor: MediaProcessor;
  before(async () => {
    checkpoint = visionCheckpoint('smolvlm');
    // A vocabulary of words with the blank before them, in which two line feeds are one token where a text ends.
    const texts = [' ', 'You', ' You', '\n', '\n\n', 'Why', '<fake_token_around_image>'];
    const idsOf = (words: string): number[] =>
      (words.match(/<fake\w+>|[<>]| ?\w+| (?!\w)|\n(?=\n?\w)|\n\n/g) ?? []).map((text) =>
        texts.indexOf(text),
      );
    const encode: EncodeWords = Object.assign(
      (words: string) => {
        asked.push(words);
        return idsOf(words);
      },
      { textOf: (id: number) => texts[id] ?? '\u{FFFD}' },
    );
    const found = await (await getModel(checkpoint.path)).getMediaProcessor(encode);
    if (!found) throw new Error('no processor');
    processor = found;
  });
  after(() => checkpoint.remove());

  const shown = async (frames: number, fps?: number) => {
    asked.length = 0;
    return processor.process({ ...(await mediaFiles(frames, 20, 20, 1)), fps }, 'it', 0, 1);
  };

  it('say how many they are, how long they last and when each is, as SmolVLMProcessor of transformers does', async () => {
    await shown(3, 0.0155);
    expect(asked.join('|')).to.equal(
      'You are provided the following series of three frames from a 0:02:09 [H:MM:SS] video.\n\n' +
        'Frame from 00:00:<fake_token_around_image><global-img>|' +
        '<fake_token_around_image>\nFrame from 01:04:<fake_token_around_image><global-img>|' +
        '<fake_token_around_image>\nFrame from 02:09:<fake_token_around_image><global-img>|' +
        '<fake_token_around_image>\n\n',
    );
    await shown(2, 1 / 180_061);
    expect(asked[0]).to.contain('from a 2 days, 2:01:01 [H:MM:SS]');
    // As num2words writes them.
    expect([0, 12, 20, 64, 100, 241, 768].map(numberWords)).to.deep.equal([
      'zero',
      'twelve',
      'twenty',
      'sixty-four',
      'one hundred',
      'two hundred and forty-one',
      'seven hundred and sixty-eight',
    ]);
  });

  it('are one text with the words beside them, and have the token of pictures', async () => {
    const pieces = await shown(1);
    // Where no token is the template's text of a video, pictures' stands for it.
    expect(processor.placeholders).to.deep.equal({ image: IMAGE, video: IMAGE });
    expect(processor.templateTexts).to.deep.equal({ '<video>': '<image>' });
    const { tokens } = placeInserts([0, IMAGE, 5], [{ kind: 'video', pieces }], processor);
    const [first, last] = [tokens[0], [...tokens.slice(-3)]];
    expect([first, last]).to.deep.equal([2, [3, 3, 5]]);
    expect(tokens.filter((id) => id === IMAGE).length).to.equal(4);
    const ending = placeInserts([IMAGE, 6], [{ kind: 'video', pieces }], processor).tokens;
    expect([...ending.slice(-2)]).to.deep.equal([4, 6]);
  });

  it('are written by the template of the processor, whatever the files have', () => {
    const template = new ChatTemplate(processor.templates?.video ?? '', 'of the family');
    const written = (...messages: readonly object[]) =>
      template.render({ messages: messages as ChatMessage[], add_generation_prompt: true });
    const [video, image] = [{ type: 'video' }, { type: 'image' }];
    const asks = { type: 'text', text: 'Why?' };
    // As SmolVLMProcessor's own template is rendered.
    expect(
      written({ role: 'system', content: 'Be brief.' }, { role: 'user', content: [video, asks] }),
    ).to.equal(
      '<|im_start|>System: Be brief.<end_of_utterance>\nUser: <video>Why?<end_of_utterance>\nAssistant:',
    );
    expect(written({ role: 'user', content: [image, asks, video] })).to.equal(
      '<|im_start|>User:<image>Why?<video><end_of_utterance>\nAssistant:',
    );
  });
});
