import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { EmbeddingModel } from '../../src/engine/encoding/embedding-model.js';
import type { EncoderOptions } from '../../src/engine/encoding/open-encoder.js';
import { Reranker } from '../../src/engine/encoding/reranker.js';
import { openEngine } from '../../src/engine/open-engine.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { HfTokenizer } from '../../src/tokenizer/hf-tokenizer.js';
import { largestDifference, promptLogits } from '../oracle/logits.js';
import { sentenceCase, sentenceCases, sentenceCheckpoint } from './embedding-fixtures.js';

const PAIRS = join(import.meta.dirname, '../../../test/fixtures/text/pairs.json');

/** Vectors are about 1 long, or their numbers about 1. */
const TOLERANCE = 1e-5;

/** Runs `work` with what `load` makes of a case's directory. */
async function withModel<M extends { dispose(): Promise<void> }, T>(
  load: (modelPath: string, options: { readonly threads: number }) => Promise<M>,
  name: string,
  work: (model: M) => Promise<T>,
  files: Readonly<Record<string, unknown>> = {},
): Promise<T> {
  const checkpoint = sentenceCheckpoint(sentenceCase(name), files);
  try {
    const model = await load(checkpoint.path, { threads: 2 });
    try {
      return await work(model);
    } finally {
      await model.dispose();
    }
  } finally {
    checkpoint.remove();
  }
}

describe('vectors and scores of texts', function () {
  this.timeout(60_000);

  for (const name of sentenceCases) {
    const { embedded, ranked } = sentenceCase(name);
    if (embedded.length > 0)
      it(`of ${name} are sentence-transformers' vectors`, () =>
        withModel(EmbeddingModel.load, name, async (model) => {
          const differences = embedded.map(async ({ text, options, vector }) => {
            const { prompt, prompt_name: promptName } = options;
            const [found] = await model.embed([text], {
              ...(prompt !== undefined && { prompt }),
              ...(promptName !== undefined && { promptName }),
            });
            expect(found?.vector.length).to.equal(vector.length);
            return largestDifference(found?.vector ?? new Float32Array(), Float32Array.from(vector));
          });
          expect(Math.max(...(await Promise.all(differences)))).to.be.at.most(TOLERANCE);
        }));
    for (const { query, documents, scores } of ranked)
      it(`of ${name} are the scores of sentence-transformers' CrossEncoder`, () =>
        withModel(Reranker.load, name, async (model) => {
          const found = await model.rerank(query, documents);
          const inOrder = [...found].sort((a, b) => a.index - b.index).map(({ score }) => score);
          expect(largestDifference(Float32Array.from(inOrder), Float32Array.from(scores))).to.be.at.most(
            TOLERANCE,
          );
          expect(found.map(({ score }) => score)).to.deep.equal([...inOrder].sort((a, b) => b - a));
        }));
  }

  it('do not depend on who shares a step, nor on how many tokens a step may have', async () => {
    const { embedded } = sentenceCase('bert-cls');
    const texts = embedded.map(({ text }) => text);
    const all = (vectors: readonly { readonly vector: Float32Array }[]) =>
      vectors.map(({ vector }) => [...vector]);
    const run = (maxBatchTokens: number, work: (model: EmbeddingModel) => Promise<number[][]>) =>
      withModel((dir, options) => EmbeddingModel.load(dir, { ...options, maxBatchTokens }), 'bert-cls', work);
    const alone = await run(1, async (model) => all(await model.embed(texts)));
    expect(await run(8192, async (model) => all(await model.embed(texts)))).to.deep.equal(alone);
    const sideBySide = await run(64, async (model) => {
      const calls = await Promise.all([model.embed(texts.toReversed()), model.embed(texts), model.embed([])]);
      expect(calls[2]).to.deep.equal([]);
      expect(all(calls[0])).to.deep.equal(alone.toReversed());
      return all(calls[1]);
    });
    expect(sideBySide).to.deep.equal(alone);
  });

  it('come in turns: a caller with few texts does not wait for one with many', () =>
    withModel(
      (dir, options) => EmbeddingModel.load(dir, { ...options, maxBatchTokens: 16 }),
      'bert-cls',
      async (model) => {
        const ended: string[] = [];
        const many = model.embed(new Array(300).fill('the dog')).then(() => ended.push('many'));
        const few = model.embed(['the dog', 'a key']).then(() => ended.push('few'));
        await Promise.all([many, few]);
        expect(ended).to.deep.equal(['few', 'many']);
      },
    ));

  it('come of token ids, too, which are taken as they are', () =>
    withModel(EmbeddingModel.load, 'qwen3-last', async (model) => {
      const ids = [17, 4, 200, 0];
      const [one, other] = await model.embed([ids, Int32Array.from(ids)], { promptName: 'query' });
      expect(one?.tokens).to.equal(4);
      expect(one).to.deep.equal(other);
    }));

  it('are cut to their first numbers, and to length 1 where the model makes them so', async () => {
    for (const [name, isNormalized] of [
      ['bert-cls', true],
      ['bert-modes', false],
    ] as const)
      await withModel(EmbeddingModel.load, name, async (model) => {
        const [whole] = await model.embed(['the dog']);
        const [cut] = await model.embed(['the dog'], { dimensions: 16 });
        const first = (whole?.vector ?? new Float32Array()).slice(0, 16);
        const length = isNormalized ? Math.hypot(...first) : 1;
        expect(
          largestDifference(
            cut?.vector ?? new Float32Array(),
            first.map((x) => x / length),
          ),
        ).to.be.below(1e-6);
        for (const dimensions of [0, 1.5, model.width + 1]) {
          const refusal = await model.embed(['a'], { dimensions }).catch(String);
          expect(refusal).to.contain('REQUEST_INVALID: dimensions must be');
        }
      });
  });

  it('are as long as they may be: what is longer is cut, token ids are refused', () =>
    withModel(EmbeddingModel.load, 'bert-cls', async (model) => {
      expect(model.maxSeqLength).to.equal(16);
      const [long] = await model.embed(['the dog '.repeat(50)]);
      expect(long?.tokens).to.equal(16);
      const error = await model.embed([new Array(17).fill(5)]).catch((reason: unknown) => reason);
      expect(String(error)).to.contain('REQUEST_INVALID: texts[0] must be at most 16 tokens, found 17');
    }));

  it('fail alone: by their place, by their prompt, by an abort, and when the model is disposed of', () =>
    withModel(EmbeddingModel.load, 'bert-cls', async (model) => {
      const failure = async (run: () => Promise<unknown>): Promise<string> =>
        String(await run().catch((reason: unknown) => reason));
      const good = model.embed(['the dog']);
      expect(await failure(() => model.embed(['a', 3 as never]))).to.contain('texts[1]');
      expect(await failure(() => model.embed('a' as never))).to.contain(
        'REQUEST_INVALID: texts must be a list',
      );
      expect(await failure(() => model.embed(['a'], { promptName: 'clustering' }))).to.contain(
        'promptName must be one of query, document, passage, found "clustering"',
      );
      expect(await failure(() => model.embed([[]]))).to.contain(
        'texts[0] must be a text of at least one token',
      );
      expect(await failure(() => model.embed(['a'], { pooling: 'cls' } as never))).to.contain(
        'OPTION_UNKNOWN',
      );
      expect(await failure(() => model.embed(['a'], { signal: AbortSignal.abort() }))).to.contain(
        'REQUEST_ABORTED',
      );
      const controller = new AbortController();
      const many = failure(() => model.embed(new Array(500).fill('the dog'), { signal: controller.signal }));
      controller.abort('enough');
      expect(await many).to.contain('REQUEST_ABORTED');
      expect((await good).length).to.equal(1);
      const running = failure(() => model.embed(new Array(500).fill('the dog')));
      await new Promise((resolve) => setTimeout(resolve, 5));
      await model.dispose();
      expect(await running).to.contain('ENGINE_DISPOSED');
      expect(await failure(() => model.embed(['a']))).to.contain('ENGINE_DISPOSED');
    }));

  describe('are refused by name where', () => {
    const refused = (name: string, files: Readonly<Record<string, unknown>>): Promise<string> =>
      withModel(EmbeddingModel.load, name, async () => 'nothing was refused', files).catch(String);
    const modules = sentenceCase('bert-cls').files['modules.json'] as readonly object[];

    it('a module is not built', async () => {
      const files = {
        'modules.json': modules.with(1, { path: '1_WordWeights', type: 'models.WordWeights' }),
      };
      expect(await refused('bert-cls', files)).to.match(
        /modules\.json.*Pooling, found Transformer, WordWeights/,
      );
      const lstm = { 'modules.json': modules.with(2, { path: '', type: 'models.LSTM' }) };
      expect(await refused('bert-cls', lstm)).to.contain('LSTM is not supported');
    });

    it('a path leads out of the directory', async () => {
      const files = { 'modules.json': modules.with(1, { path: '../elsewhere', type: 'models.Pooling' }) };
      expect(await refused('bert-cls', files)).to.contain('a path within the folder');
    });

    it('a key is unknown, or asks for something else', async () => {
      const pooling = { word_embedding_dimension: 64, pooling_mode: 'mean', temperature: 2 };
      expect(await refused('bert-cls', { '1_Pooling/config.json': pooling })).to.match(
        /1_Pooling.*unknown: temperature/,
      );
      const wide = { word_embedding_dimension: 65, pooling_mode: 'mean' };
      expect(await refused('bert-cls', { '1_Pooling/config.json': wide })).to.contain(
        'word_embedding_dimension=65',
      );
      const mode = { pooling_mode: 'median' };
      expect(await refused('bert-cls', { '1_Pooling/config.json': mode })).to.contain(
        'pooling_mode must be one',
      );
      const task = { 'sentence_bert_config.json': { transformer_task: 'fill-mask' } };
      expect(await refused('bert-cls', task)).to.contain('transformer_task="fill-mask" is not supported');
    });

    it('an activation is not built, or a width does not fit', async () => {
      const dense = sentenceCase('xlm-roberta-dense').files['2_Dense/config.json'] as object;
      const relu = { '2_Dense/config.json': { ...dense, activation_function: 'torch.nn.ReLU' } };
      expect(await refused('xlm-roberta-dense', relu)).to.contain('activation_function must be one of');
      const narrow = { '2_Dense/config.json': { ...dense, in_features: 32 } };
      expect(await refused('xlm-roberta-dense', narrow)).to.contain('in_features must be 64, found 32');
    });

    it('a checkpoint is for something else', async () => {
      expect(await refused('bert-ranks', {})).to.contain('MODEL_USE_UNSUPPORTED');
      const ranked = withModel(Reranker.load, 'bert-cls', async () => 'nothing was refused');
      expect(await ranked.catch(String)).to.contain('MODEL_USE_UNSUPPORTED');
      const generated = withModel(
        async (modelPath, options) => (await openEngine({ modelPath, ...options })).engine,
        'bert-cls',
        async () => 'nothing was refused',
      );
      expect(await generated.catch(String)).to.contain('cannot be used to generate');
      const { config } = sentenceCase('bert-ranks');
      const labels = { 'config.json': { ...config, id2label: { 0: 'a', 1: 'b' } } };
      const several = withModel(Reranker.load, 'bert-ranks', async () => 'nothing was refused', labels);
      expect(await several.catch(String)).to.match(/WEIGHT_SHAPE_MISMATCH|one label/);
    });
  });

  it('of Qwen3-Reranker are its probability of yes, asked in the published words', async () => {
    const { tokenizers } = JSON.parse(readFileSync(PAIRS, 'utf8'));
    const json = structuredClone(tokenizers.qwen.tokenizer);
    // The words need tokens: they take the places of the last two merges.
    const { vocab, merges } = json.model;
    const last = Object.entries(vocab).filter(([, id]) => Number(id) >= 298);
    for (const [token] of last) delete vocab[token];
    merges.splice(-2);
    Object.assign(vocab, { yes: 298, no: 299 });
    json.post_processor = null;
    const files = { 'tokenizer.json': json };
    const [query, documents] = ['Where does the dog sleep?', ['on the lazy fox', 'never']];
    const load = (dir: string, options: EncoderOptions) =>
      Reranker.load(dir, { ...options, maxPositionEmbeddings: 512 });
    const found = await withModel(load, 'qwen3-bare', (model) => model.rerank(query, documents), files);

    const checkpoint = sentenceCheckpoint(sentenceCase('qwen3-bare'), files);
    const setting = { modelPath: checkpoint.path, threads: 2, numBlocks: 4, maxPositionEmbeddings: 512 };
    const runner = await ModelRunner.load(setting);
    try {
      const tokenizer = await HfTokenizer.load(checkpoint.path);
      for (const { index, score, tokens } of found) {
        const asked = [
          '<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n',
          `<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n<Query>: ${query}\n<Document>: ${documents[index]}`,
          '<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n',
        ];
        const ids = asked.flatMap((part) => tokenizer.encode(part));
        expect(tokens).to.equal(ids.length);
        const logits = await promptLogits(runner, Int32Array.from(ids));
        const [yes = 0, no = 0] = [298, 299].map((id) => logits[(ids.length - 1) * 300 + id]);
        expect(score).to.be.closeTo(Math.exp(yes) / (Math.exp(yes) + Math.exp(no)), TOLERANCE);
      }
      expect(found.length).to.equal(2);
    } finally {
      runner.dispose();
      checkpoint.remove();
    }
  });
});
