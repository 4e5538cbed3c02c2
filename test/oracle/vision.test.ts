import { expect } from 'chai';
import { checkModel } from '../../src/cli/check.js';
import type { FloatDType } from '../../src/dtype.js';
import type { LLMEngineOptions } from '../../src/engine/llm-engine-options.js';
import { PREFILL } from '../../src/graph/graph-kind.js';
import {
  type Insert,
  type MediaProcessor,
  type ProcessedMedia,
  placeInserts,
} from '../../src/media/index.js';
import { getModel } from '../../src/models/get-model.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { GRID_IDS, gridAxes, MROPE_IDS, mrope, type Step } from '../../src/step-inputs/index.js';
import { certainTokens, keptLogits, rowsOf } from './families.js';
import { greedyAnswers } from './generate.js';
import { BEST_ISA, isasInTurn } from './isas.js';
import { largestDifference, promptLogits, smallestCosine } from './logits.js';
import { SharedRunners } from './shared-runners.js';
import {
  encodeWords,
  insertsOf,
  processedOf,
  shortPrompt,
  type VisionReference,
  visionCases,
  visionCheckpoint,
  visionReferences,
} from './vision.js';

const CONTEXT = 192;
/** The largest that a logit or a number that an encoder gives may be off in f32. */
const TOLERANCE = 2e-4;
const COSINE = 0.9995;

interface Setting {
  readonly isa: string;
  readonly dtype: FloatDType;
  readonly numBlocks?: number;
  readonly threads?: number;
}

const load = (modelPath: string, setting: Setting) =>
  ModelRunner.load({
    modelPath,
    threads: 2,
    blockSize: 32,
    numBlocks: 24,
    ...setting,
    maxPositionEmbeddings: CONTEXT,
  });

interface Seen {
  readonly reference: VisionReference;
  readonly processed: readonly ProcessedMedia[];
  readonly inserts: readonly Insert[];
}

/** Greedy tokens of all prompts, the `first` first, with what tells their logits apart to the last bit. */
function generateAll(
  runner: ModelRunner,
  seen: readonly Seen[],
  setting: Partial<LLMEngineOptions>,
  first = 0,
): ReturnType<typeof greedyAnswers> {
  const prompts = seen.map(({ reference: { prompt }, inserts }) => ({ prompt, inserts }));
  return greedyAnswers(runner, prompts, { maxModelLen: CONTEXT, ...setting }, first);
}

const CHUNKED = { maxPrefillTokens: 9, chunkedPrefill: true };

for (const [turn, name] of visionCases.entries()) {
  describe(`the case ${name}, which sees or hears`, function () {
    this.timeout(120_000);
    let checkpoint: ReturnType<typeof visionCheckpoint>;
    let processor: MediaProcessor;
    let seen: readonly Seen[];
    let runners: SharedRunners<Setting>;
    before(async () => {
      checkpoint = visionCheckpoint(name);
      runners = new SharedRunners((setting) => load(checkpoint.path, setting));
      const found = await (await getModel(checkpoint.path)).getMediaProcessor(encodeWords);
      if (!found) throw new Error('no processor');
      processor = found;
      const references = await visionReferences(name);
      seen = await Promise.all(
        references.map(async (reference) => {
          const processed = await processedOf(reference, found);
          return { reference, processed, inserts: insertsOf(reference, processed, found) };
        }),
      );
    });
    after(async () => {
      await runners.dispose();
      checkpoint.remove();
    });

    it('has nothing that check finds fault with: each key and each tensor read, each graph legal', async () => {
      const findings = await checkModel({ modelPath: checkpoint.path });
      // What ATB lacks for recurrent states, chosen blocks, bounded scores, gates and convolutions of each channel.
      const others = findings.filter(
        ({ level, text }) => level === 'error' || !/is an extension (op|key)$/.test(text),
      );
      expect(others).to.deep.equal([]);
      expect(findings.length > 0).to.equal(
        /^(fast_vlm|gemma3n|llava_qwen2|lfm[23]|minicpm(_ocr|v4)|minimax_m3|nemotron_h|qwen3_5|qwen4_exp)|gemma2$/.test(
          name,
        ),
      );
      const router = await getModel(checkpoint.path);
      expect(router.config.unreadKeys).to.deep.equal([]);
    });

    it('expands placeholders as transformers does, and gives each token its positions', async () => {
      for (const { reference, processed, inserts } of seen) {
        const placed = placeInserts(shortPrompt(reference, processed, processor), processed, processor);
        expect([...placed.tokens]).to.deep.equal([...reference.prompt]);
        expect(placed.inserts.map(({ start }) => start)).to.deep.equal(inserts.map(({ start }) => start));

        const tokens = reference.prompt.length;
        const lens = Int32Array.of(tokens);
        const step: Step = {
          kind: PREFILL,
          tokenIds: reference.prompt,
          positions: new Int32Array(tokens).map((_, place) => place),
          queryLens: lens,
          seqLens: lens,
          promptLens: lens,
          blockTables: [],
          headRows: lens,
          inserts: [inserts],
        };
        // Of models whose tokens have several positions.
        if (reference.positions.length === 0) continue;
        const { rope } = (await getModel(checkpoint.path)).config;
        if (!rope) throw new Error('no rope');
        const run = { dtype: 'f32', blockSize: 32, numBlocks: 8, maxPositionEmbeddings: CONTEXT } as const;
        // Whether places in the text are an axis of their own, before those of pictures, where there is one.
        const isGrid = name.startsWith('hunyuan');
        const made = (isGrid ? gridAxes(rope) : mrope(rope)).make?.(step, run) ?? {};
        const ids = isGrid ? ['position_ids', ...Object.values(GRID_IDS)] : Object.values(MROPE_IDS);
        for (const [axis, id] of ids.slice(-reference.positions.length).entries())
          expect(Array.from((made[id]?.data ?? []) as BigInt64Array, Number), id).to.deep.equal(
            reference.positions[axis],
          );
      }
    });

    for (const isa of isasInTurn(turn)) {
      it(`agrees with transformers' encoder and logits in f32, ${isa} kernels`, async () => {
        const runner = await runners.get({ isa, dtype: 'f32' });
        for (const { reference, inserts } of seen) {
          if (inserts.length > 0) {
            const { data, shape } = await runner.encodeInputs(inserts.map(({ input }) => input));
            const found = rowsOf(data, reference.encodedRows, shape[1] ?? 0);
            expect(largestDifference(found, reference.encoded)).to.be.at.most(TOLERANCE);
          }
          const logits = await promptLogits(runner, reference.prompt, inserts);
          expect(largestDifference(keptLogits(logits, reference), reference.logits)).to.be.at.most(TOLERANCE);
        }
      });

      it(`agrees with f32 arithmetic on the same weights in bf16, ${isa} kernels`, async () => {
        const runner = await runners.get({ isa, dtype: 'bf16' });
        for (const { reference, inserts } of seen) {
          const logits = await promptLogits(runner, reference.prompt, inserts);
          const { roundedLogits, width } = reference;
          const cosine = smallestCosine(keptLogits(logits, reference), roundedLogits, width);
          expect(cosine).to.be.at.least(COSINE);
        }
      });

      it(`gives transformers' greedy tokens, and the same bits in any company, ${isa} kernels`, async () => {
        const runner = await runners.get({ isa, dtype: 'f32' });
        const { answers: alone } = await generateAll(runner, seen, { maxBatchSize: 1 });
        for (const [i, { reference }] of seen.entries()) {
          const expected = certainTokens(reference, TOLERANCE);
          expect(expected.length).to.be.at.least(4);
          expect(alone[i]?.tokens.slice(0, expected.length)).to.deep.equal(expected);
        }
        const { answers: batched } = await generateAll(runner, seen, {}, 1);
        expect(batched, 'batched').to.deep.equal(alone);
        const { answers: chunked } = await generateAll(runner, seen, CHUNKED, 2);
        expect(chunked, 'in chunks beside decoding sequences').to.deep.equal(alone);
      });
    }

    it('gives the same bits in bf16 whatever is chunked, preempted, cached or computed by one thread', async () => {
      const setting = { isa: BEST_ISA, dtype: 'bf16' } as const;
      const runner = await runners.get(setting);
      const { answers: alone } = await generateAll(runner, seen, { maxBatchSize: 1, prefixCaching: false });
      expect((await generateAll(runner, seen, CHUNKED, 1)).answers, 'in chunks').to.deep.equal(alone);
      const twice = await generateAll(runner, [...seen, ...seen], { maxBatchSize: 1 }, 2);
      expect(twice.answers, 'cached').to.deep.equal([...alone, ...alone]);
      expect(twice.hits).to.be.at.least(32);
      const cramped = await runners.get({ ...setting, numBlocks: 5 });
      expect((await generateAll(cramped, seen, {})).answers, 'preempted').to.deep.equal(alone);
      const single = await runners.get({ ...setting, threads: 1 });
      expect((await generateAll(single, seen, {})).answers, 'by one thread').to.deep.equal(alone);
    });

    it('shares no block of the cache with a prompt of other pictures', async () => {
      // Pictures in several blocks.
      const one = seen.reduce((most, next) =>
        next.reference.prompt.length > most.reference.prompt.length ? next : most,
      );
      // As if the picture were another one of that size, whose rows are others.
      const inserts = one.inserts.map(({ start, input }) => ({
        start,
        input: { ...input, data: input.data.map((value) => -value), key: input.key.map((word) => word + 1) },
      }));
      const other = { ...one, inserts };
      const runner = await runners.get({ isa: BEST_ISA, dtype: 'f32' });
      const run = async (prompts: readonly Seen[], maxBatchSize = 1) =>
        (await generateAll(runner, prompts, { maxBatchSize })).answers;
      const [first, second] = [await run([one]), await run([other])];
      expect(first).to.not.deep.equal(second);
      expect(await run([one, other])).to.deep.equal([...first, ...second]);
      const twice = [...first, ...second, ...first, ...second];
      expect(await run([one, other, one, other], 4), 'at once').to.deep.equal(twice);
    });
  });
}
