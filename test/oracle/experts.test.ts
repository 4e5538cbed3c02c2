import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { FloatDType } from '../../src/dtype.js';
import type { PassSelection } from '../../src/graph/passes/index.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { quantizeCheckpoint } from '../../src/runner/quantize-checkpoint.js';
import type { QuantizeOptions } from '../../src/weights/quantization.js';
import { writeDequantized } from './dequantized.js';
import { chosenExperts, closestChoice, recordedExperts } from './expert-choices.js';
import {
  type FamilyReference,
  familyCases,
  familyCheckpoint,
  familyConfig,
  familyReferences,
  stackedCheckpoint,
} from './families.js';
import { greedyAnswers } from './generate.js';
import { BEST_ISA, SAMPLED_ISAS } from './isas.js';
import { largestDifference, promptLogits } from './logits.js';
import { SharedRunners } from './shared-runners.js';

/** Families with experts. */
const FAMILIES = [
  'aria_text',
  ...['afmoe', 'deepseek', 'deepseek_v2', 'deepseek_v3', 'dots1', 'ernie4_5_moe', 'flex_olmo', 'glm4_moe'],
  ...['glm4_moe_lite', 'glm_moe_dsa', 'deepseek_v32'],
  ...['gpt_oss', 'granitemoe', 'granitemoeshared', 'hunyuan_v1_moe', 'llama4_text', 'minimax_m2', 'mixtral'],
  'minimax_m3_vl_text',
  ...['olmoe', 'qwen2_moe', 'qwen3_moe', 'solar_open', 'exaone_moe', 'hy_v3', 'mellum', 'cohere2_moe'],
  ...['kolibri1', 'lara_mini', 'mistral_large4'],
  ...['laguna', 'sarvam_mla', 'sarvam_moe', 'dbrx', 'flint', 'axk1', 'axk2', 'step3p5', 'step3p7', 'hy_v4'],
];
const cases = familyCases.filter((name) => FAMILIES.includes(familyConfig(name).model_type));
/** What experts are chosen by, where it is not their scores. */
const SCORES: Readonly<Record<string, string>> = {
  afmoe: 'router_corrected',
  axk1: 'router_limited',
  'axk1-corrected': 'router_corrected',
  axk2: 'router_corrected',
  'axk2-groups': 'router_limited',
  cohere2_moe: 'router_logits',
  'cohere2_moe-shared': 'router_logits',
  'cohere2_moe-sum': 'router_logits',
  deepseek_v2: 'router_limited',
  deepseek_v3: 'router_limited',
  'deepseek_v3-half': 'router_corrected',
  deepseek_v32: 'router_limited',
  'deepseek_v32-dense': 'router_corrected',
  dots1: 'router_limited',
  ernie4_5_moe: 'router_corrected',
  'ernie4_5_moe-interval': 'router_corrected',
  exaone_moe: 'router_corrected',
  'exaone_moe-groups': 'router_limited',
  glm4_moe: 'router_corrected',
  'glm4_moe-groups': 'router_limited',
  glm4_moe_lite: 'router_corrected',
  glm_moe_dsa: 'router_corrected',
  'glm_moe_dsa-shared': 'router_corrected',
  hy_v3: 'router_corrected',
  'hy_v3-bias': 'router_corrected',
  hy_v4: 'router_corrected',
  'hy_v4-plain': 'router_corrected',
  kolibri1: 'router_corrected',
  'kolibri1-normed': 'router_corrected',
  laguna: 'router_corrected',
  'laguna-per-element': 'router_corrected',
  llama4_text: 'router_logits',
  'llama4_text-dense-layers': 'router_logits',
  'llama4_text-whole': 'router_logits',
  minimax_m2: 'router_corrected',
  'mistral_large4-groups': 'router_limited',
  minimax_m3_vl_text: 'router_corrected',
  'minimax_m3_vl_text-single': 'router_corrected',
  sarvam_mla: 'router_corrected',
  'sarvam_mla-lora': 'router_limited',
  sarvam_moe: 'router_corrected',
  'sarvam_moe-bias': 'router_limited',
  solar_open: 'router_corrected',
  step3p5: 'router_corrected',
  step3p7: 'router_corrected',
};
/** Those that have between them what a format of weights meets: both kinds of routers, with and without shared experts. */
const OF_FORMATS = ['qwen3_moe', 'glm4_moe-groups', 'gpt_oss', 'llama4_text'];
/** Those whose checkpoints have the projections of all experts in stacks of another kind than transformers'. */
const OWN_STACKS = ['gpt_oss', 'llama4_text', 'step3p5', 'step3p7'];

const MODES: readonly (QuantizeOptions & { readonly name: string })[] = [
  { name: 'floats' },
  { name: 'w8a16', quantize: 'w8a16' },
  { name: 'w8a8_dynamic', quantize: 'w8a8_dynamic' },
  { name: 'w4a16', quantize: 'w4a16', quantGroupSize: 32 },
  { name: 'w4a8_dynamic', quantize: 'w4a8_dynamic', quantGroupSize: 32 },
];

interface Setting extends QuantizeOptions {
  readonly isa?: string;
  readonly dtype?: FloatDType;
  readonly passes?: PassSelection;
  readonly threads?: number;
}

const load = (modelPath: string, setting: Setting) =>
  ModelRunner.load({
    modelPath,
    dtype: 'f32',
    threads: 2,
    blockSize: 32,
    numBlocks: 16,
    maxPositionEmbeddings: 128,
    ...setting,
  });

/** What `use` makes of a runner, which is disposed of behind it. */
async function withRunner<T>(
  path: string,
  setting: Setting,
  use: (runner: ModelRunner) => Promise<T>,
): Promise<T> {
  const runner = await load(path, setting);
  try {
    return await use(runner);
  } finally {
    runner.dispose();
  }
}

/** Greedy tokens and their log-probs, to the last bit, of prompts that run together or one after another. */
async function generated(
  path: string,
  references: readonly FamilyReference[],
  setting: Setting,
  batch: number,
) {
  const alone = batch === 1;
  return withRunner(path, setting, async (runner) => {
    const { answers } = await greedyAnswers(runner, references, {
      maxBatchSize: batch,
      maxPrefillTokens: alone ? 128 : 16,
      maxModelLen: 128,
      chunkedPrefill: !alone,
    });
    return answers;
  });
}

for (const name of cases) {
  describe(`the experts of ${name}`, function () {
    this.timeout(120_000);
    let checkpoint: ReturnType<typeof familyCheckpoint>;
    let references: readonly FamilyReference[];
    let runners: SharedRunners<string>;
    const hasOwnStacks = OWN_STACKS.includes(name);
    before(async () => {
      checkpoint = familyCheckpoint(name);
      references = await familyReferences(name);
      runners = new SharedRunners((isa) => load(checkpoint.path, { isa }));
    });
    after(async () => {
      await runners.dispose();
      checkpoint.remove();
    });

    it('are some of them chosen by scores that lie close together', async () => {
      const { prompt } = references.at(-1) as FamilyReference;
      const gap = await closestChoice(await runners.get(BEST_ISA), prompt, SCORES[name] ?? 'router_scores');
      expect(gap).to.be.within(Number.MIN_VALUE, 1e-2);
    });

    for (const isa of SAMPLED_ISAS) {
      it(`are those that the reference chose, ${isa} kernels`, async () => {
        const runner = await runners.get(isa);
        for (const { prompt, experts } of references)
          expect(await chosenExperts(runner, prompt)).to.deep.equal(experts && recordedExperts(experts));
      });
    }

    it('are nearly always the same where the model runs in bf16', async () => {
      await withRunner(checkpoint.path, { dtype: 'bf16' }, async (runner) => {
        let [same, all] = [0, 0];
        for (const { prompt, experts, roundedExperts = experts } of references) {
          const found = (await chosenExperts(runner, prompt)).flat();
          const expected = roundedExperts ? recordedExperts(roundedExperts).flat() : [];
          same += found.filter((choice, at) => choice === expected[at]).length;
          all += expected.length;
        }
        expect(same / all, `${all - same} of ${all} choices are others`).to.be.at.least(0.95);
      });
    });

    if (!OF_FORMATS.includes(name)) return;

    it('are the same out of stacks of all experts', async function () {
      if (hasOwnStacks) this.skip();
      const stacks = stackedCheckpoint(name);
      try {
        const { prompt } = references[1] as FamilyReference;
        const logits = (path: string) => withRunner(path, {}, (runner) => promptLogits(runner, prompt));
        expect(await logits(stacks.path)).to.deep.equal(await logits(checkpoint.path));
      } finally {
        stacks.remove();
      }
    });

    for (const { name: mode, ...options } of MODES) {
      it(`give the same with and without graph passes, ${mode}`, async () => {
        const { prompt } = references[1] as FamilyReference;
        const logits = (passes: PassSelection) =>
          withRunner(checkpoint.path, { ...options, passes }, (runner) => promptLogits(runner, prompt));
        // In f32 only the order of sums differs; int8 activations may round to a neighbour for it.
        const bound = mode.endsWith('a8_dynamic') ? 0.02 : 2e-4;
        // Only that pass makes int8 of what 4 bits are multiplied with.
        const portable = await logits(mode === 'w4a8_dynamic' ? ['dynamic-quant'] : 'none');
        expect(largestDifference(await logits('all'), portable)).to.be.at.most(bound);
      });

      if (options.quantize !== undefined && !mode.endsWith('a8_dynamic') && !hasOwnStacks) {
        const { quantize } = options;
        it(`stand for the floats that they were stored for, ${mode}`, async () => {
          const folder = mkdtempSync(join(tmpdir(), 'atb-experts-'));
          const [quantized, dequantized] = [join(folder, 'q'), join(folder, 'f')];
          try {
            await quantizeCheckpoint({
              ...options,
              quantize,
              input: checkpoint.path,
              output: quantized,
              threads: 2,
            });
            await writeDequantized(quantized, dequantized);
            const { prompt } = references[1] as FamilyReference;
            const logits = (path: string, setting: Setting) =>
              withRunner(path, setting, (runner) => promptLogits(runner, prompt));
            const expected = await logits(dequantized, {});
            expect(largestDifference(await logits(quantized, {}), expected)).to.be.at.most(5e-4);
            // What is stored is what is made at load.
            expect(await logits(quantized, {})).to.deep.equal(await logits(checkpoint.path, options));
          } finally {
            rmSync(folder, { recursive: true });
          }
        });
      }

      it(`give the same bits in any company and on any number of threads, ${mode}`, async () => {
        const alone = await generated(checkpoint.path, references, { ...options, threads: 1 }, 1);
        const together = await generated(checkpoint.path, references, { ...options, threads: 3 }, 8);
        expect(together).to.deep.equal(alone);
      });
    }
  });
}
