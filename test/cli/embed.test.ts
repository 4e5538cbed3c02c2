import { expect } from 'chai';
import { printEmbeddings } from '../../src/cli/embed.js';
import { parseRunPaArguments } from '../../src/cli/run-pa.js';
import { sentenceCase, sentenceCheckpoint } from '../engine/embedding-fixtures.js';
import { largestDifference } from '../oracle/logits.js';

describe('run-pa --is_embedding_model', function () {
  this.timeout(60_000);
  const { embedded } = sentenceCase('bert-cls');
  let checkpoint: ReturnType<typeof sentenceCheckpoint>;
  before(() => {
    checkpoint = sentenceCheckpoint(sentenceCase('bert-cls'));
  });
  after(() => checkpoint.remove());

  async function run(...flags: readonly string[]): Promise<string> {
    const args = await parseRunPaArguments(['node', 'run-pa', '--model_path', checkpoint.path, ...flags]);
    if (typeof args === 'string') throw new TypeError('no arguments');
    expect(args.isEmbeddingModel).to.equal(true);
    let printed = '';
    await printEmbeddings(args, {}, (text) => {
      printed += text;
    });
    return printed;
  }

  it('prints the vectors of all prompts, as JSON or to read', async () => {
    const [first, second] = embedded;
    const texts = ['--input_texts', first?.text ?? '', second?.text ?? ''];
    const { embeddings } = JSON.parse(await run('--is_embedding_model', '--json', ...texts));
    expect(embeddings.map(({ index }: { index: number }) => index)).to.deep.equal([0, 1]);
    for (const [index, { vector = [] } = {}] of [first, second].entries()) {
      const found = Float32Array.from(embeddings[index].embedding);
      expect(largestDifference(found, Float32Array.from(vector))).to.be.at.most(1e-5);
    }
    const text = await run('--is_embedding_model', ...texts);
    expect(text).to.match(/^Embedding\[0\]: 7 tokens, 64 numbers\n\[-?0\.\d+, .*\]\n\nEmbedding\[1\]: /);
  });

  it('cuts texts where --max_input_length says', async () => {
    const { embeddings } = JSON.parse(
      await run(
        '--is_embedding_model',
        '--json',
        '--max_input_length',
        '9',
        '--input_texts',
        'the dog '.repeat(9),
      ),
    );
    expect(embeddings[0].tokens).to.equal(9);
  });

  it('refuses what only answers have, and dialogues', async () => {
    const failure = (...flags: readonly string[]): Promise<string> =>
      run('--is_embedding_model', ...flags).catch(String);
    expect(await failure('--temperature', '1')).to.contain('OPTION_UNSUPPORTED: temperature=1');
    expect(await failure('--stream')).to.contain('OPTION_UNSUPPORTED: stream=true');
    expect(await failure('--is_chat_model')).to.contain('OPTION_UNSUPPORTED: isChatModel=true');
  });
});
