import { expect } from 'chai';
import { checkModel } from '../../src/cli/check.js';
import type { FloatDType } from '../../src/dtype.js';
import type { LLMEngineOptions } from '../../src/engine/llm-engine-options.js';
import type { KvQuantOptions } from '../../src/kv-cache/kv-quant.js';
import { getModel } from '../../src/models/get-model.js';
import { ModelRunner } from '../../src/runner/model-runner.js';
import { choosesAlike, chosenExperts, recordedExperts } from './expert-choices.js';
import {
  certainTokens,
  computedBy,
  type FamilyReference,
  familyCases,
  familyCheckpoint,
  familyReferences,
  keptLogits,
} from './families.js';
import { greedyAnswers } from './generate.js';
import { BEST_ISA, isasInTurn, SAMPLED_ISAS } from './isas.js';
import { chosenKeys, recordedKeys } from './key-choices.js';
import { largestDifference, promptLogits, smallestCosine } from './logits.js';
import { SharedRunners } from './shared-runners.js';

const CONTEXT = 128;
/** The smallest cosine of a row of logits in bf16. */
const COSINE = 0.9995;
/**
 * Where that is less: what this family's norms multiply with is 1 + weight, whose sum transformers rounds, too, and squares
 * double the error of what they are of. Transformers in bf16 has 0.9973 beside the same numbers.
 */
const COSINES: Readonly<Record<string, number>> = { nemotron: 0.998 };
/** The least share of rows with that cosine. Behind a token that got other experts all are others. */
const COMPARED = 1 / 6;
/** What ATB lacks for recurrent states. */
const STATES = /(CausalConv1d|GatedDeltaRule|RealGatedLru|SelectiveScan) is an extension op$/;
/** The same, and what it lacks for limits of SwiGLU. */
const CLAMPED_STATES =
  /(CausalConv1d|GatedDeltaRule) is an extension op$|(limit|clampForm) is an extension key$/;
/** The same of lightning attention, which has no convolutions. */
const SCAN = /SelectiveScan is an extension op$/;
/** What it lacks for attention to chosen keys. */
const SPARSE = /(LightningIndexer|SparseAttention) is an extension op$/;
/** The same, and for bounds of what gates let through. */
const CLAMPED_SPARSE =
  /(LightningIndexer|SparseAttention) is an extension op$|(limit|clampForm) is an extension key$/;
/** What it lacks for attention to chosen blocks, and for gates of gpt-oss. */
const BLOCKS = /(BlockAttention|LightningIndexer) is an extension op$|(limit|gateScale) is an extension key$/;
/** What it lacks for bounds of what gates let through. */
const CLAMPED = /(limit|clampForm) is an extension key$/;
/** What it lacks for streams, and for attention to entries of several tokens. */
const ENTRIES =
  /(CompressedAttention|HyperWeights|LightningIndexer|MixStreams|WindowPool) is an extension op$|(limit|clampForm) is an extension key$/;
/** The same for pools of tokens, with states of linear attention. */
const POOLS =
  /(CausalConv1d|GatedDeltaRule|HyperWeights|LightningIndexer|MixStreams|SparseAttention|WindowPool) is an extension op$|(limit|clampForm) is an extension key$/;
/** What it lacks where a number of each head takes part in softmaxes. */
const SINKS = /hasSinks is an extension key$/;
/** The same, and what it lacks for values of another size than keys where a sequence has several tokens. */
const LONG_KEYS =
  /hasSinks is an extension key$|CALC_TYPE_SPEC takes values of the size of keys, \d+, found \d+$/;
/** What ATB cannot say, by the case that needs it. */
const EXTENSIONS: Readonly<Record<string, RegExp>> = {
  axk2: SPARSE,
  'axk2-groups': SPARSE,
  bailing_hybrid: STATES,
  'bailing_hybrid-lora': CLAMPED_STATES,
  bamba: STATES,
  'bamba-groups': STATES,
  deepseek_v4: ENTRIES,
  'deepseek_v4-unscaled': ENTRIES,
  deepseek_v32: SPARSE,
  'deepseek_v32-dense': SPARSE,
  falcon_h1: STATES,
  'falcon_h1-normed': STATES,
  flint: SINKS,
  'flint-biases': SINKS,
  gemma2: /softcap is an extension key$/,
  hy_v4: CLAMPED_SPARSE,
  'hy_v4-plain': CLAMPED_SPARSE,
  glm5_next: POOLS,
  'glm5_next-shared': POOLS,
  glm_moe_dsa: SPARSE,
  'glm_moe_dsa-shared': SPARSE,
  mimo_v2_flash: LONG_KEYS,
  'mimo_v2_flash-groups': LONG_KEYS,
  gpt_oss: /(hasSinks|limit|gateScale) is an extension key$/,
  granite_swa: SINKS,
  'granite_swa-biases': SINKS,
  granitemoe_swa: SINKS,
  'granitemoe_swa-position-free': SINKS,
  granitemoehybrid: STATES,
  'granitemoehybrid-dense': STATES,
  kimi_linear: STATES,
  'kimi_linear-lora': STATES,
  lfm2: STATES,
  'lfm2-biases': STATES,
  lfm3: STATES,
  'lfm3-plain': STATES,
  lfm2_moe: STATES,
  'lfm2_moe-uncorrected': STATES,
  lara_mini: STATES,
  'lara_mini-biases': STATES,
  falcon_mamba: STATES,
  'falcon_mamba-biases': STATES,
  jamba: STATES,
  'jamba-dense': STATES,
  mistral_large4: SPARSE,
  'mistral_large4-groups': SPARSE,
  mamba: STATES,
  'mamba-biases': STATES,
  mamba2: STATES,
  'mamba2-biases': STATES,
  minimax: SCAN,
  'minimax-unweighed': SCAN,
  minimax_m3_vl_text: BLOCKS,
  'minimax_m3_vl_text-single': BLOCKS,
  nemotron_h: STATES,
  'nemotron_h-latent': STATES,
  olmo_hybrid: STATES,
  'olmo_hybrid-rotary': STATES,
  qwen3_5_moe_text: STATES,
  qwen3_5_text: STATES,
  qwen4_exp_text: STATES,
  'qwen4_exp_text-pairs': STATES,
  qwen3_next: STATES,
  'qwen3_next-dense': STATES,
  recurrent_gemma: STATES,
  'recurrent_gemma-biases': STATES,
  step3p5: CLAMPED,
  step3p7: CLAMPED,
  zamba: STATES,
  'zamba-heads': STATES,
  zamba2: STATES,
  'zamba2-adapters': STATES,
  'vaultgemma-bounded': /softcap is an extension key$/,
};
/** How far a logit in f32 may be off. */
const TOLERANCE = 2e-4;

/** Cases with what is in the kernels of attention alone; over a cache of integers these are others. */
const BENT_SCORES = [
  ...['gemma2', 'bloom', 'falcon-alibi', 'baichuan-alibi', 'minicpm3', 'deepseek_v2-lite', 'llama4_text'],
  ...['deepseek_v32', 'glm_moe_dsa-shared', 'mimo_v2_flash', 'minimax_m3_vl_text'],
];
/** The smallest cosine of a row of logits over a cache of integers. */
const COSINE_OF_INTEGERS = 0.998;

interface Setting extends KvQuantOptions {
  readonly isa: string;
  readonly dtype: FloatDType;
  readonly numBlocks?: number;
}

const load = (modelPath: string, setting: Setting) =>
  ModelRunner.load({
    modelPath,
    threads: 2,
    blockSize: 32,
    numBlocks: 16,
    ...setting,
    // Beyond the original context of scaled rotary embeddings.
    maxPositionEmbeddings: CONTEXT,
  });

/** The largest difference in f32, or the smallest cosine, of all prompts' logits from what transformers recorded. */
async function logitsBeside(
  runner: ModelRunner,
  references: readonly FamilyReference[],
  compare: (found: Float32Array, reference: FamilyReference) => number,
): Promise<number[]> {
  const results: number[] = [];
  for (const reference of references) {
    const logits = await promptLogits(runner, reference.prompt);
    results.push(compare(keptLogits(logits, reference), reference));
  }
  return results;
}

/**
 * How many tokens of a prompt there are before one gets other experts, or attends to other keys, than in the reference;
 * all of them where nothing is chosen.
 */
async function tokensAlike(
  runner: ModelRunner,
  { prompt, roundedExperts, roundedKeys }: FamilyReference,
): Promise<number> {
  const alike = [
    ...(roundedExperts
      ? [choosesAlike(await chosenExperts(runner, prompt), recordedExperts(roundedExperts))]
      : []),
    ...(roundedKeys ? [choosesAlike(await chosenKeys(runner, prompt), recordedKeys(roundedKeys))] : []),
  ].map((same) => same.indexOf(false));
  return Math.min(prompt.length, ...alike.filter((other) => other !== -1));
}

/**
 * The smallest cosine of the rows of logits before a token gets other experts than in the reference, and the share of
 * these rows. Behind such a token all are others, which says nothing about rounding.
 */
async function cosinesAlike(runner: ModelRunner, references: readonly FamilyReference[]) {
  let [cosine, compared] = [1, 0];
  for (const reference of references) {
    const { prompt, rows, roundedLogits, width } = reference;
    const alike = await tokensAlike(runner, reference);
    const kept = rows.filter((row) => row < alike).length * width;
    const found = keptLogits(await promptLogits(runner, prompt), reference);
    cosine = Math.min(
      cosine,
      smallestCosine(found.subarray(0, kept), roundedLogits.subarray(0, kept), width),
    );
    compared += kept / roundedLogits.length / references.length;
  }
  return { cosine, compared };
}

/** Greedy tokens of all prompts, the `first` first, with what tells their logits apart to the last bit. */
const generateAll = async (
  runner: ModelRunner,
  references: readonly FamilyReference[],
  setting: Partial<LLMEngineOptions>,
  first = 0,
) => (await greedyAnswers(runner, references, { maxModelLen: CONTEXT, ...setting }, first)).answers;

const ALONE = { maxBatchSize: 1 };
const CHUNKED = { maxPrefillTokens: 24, chunkedPrefill: true };

for (const [turn, name] of familyCases.entries()) {
  const { own, modelType, formulas } = computedBy(name);
  const standIn = own === modelType ? '' : `, which is a ${modelType} to transformers`;
  const by = formulas === undefined ? standIn : `, computed by ${formulas}`;
  describe(`the family case ${name}${by}`, function () {
    this.timeout(120_000);
    let checkpoint: ReturnType<typeof familyCheckpoint>;
    let references: readonly FamilyReference[];
    let runners: SharedRunners<Setting>;
    before(async () => {
      checkpoint = familyCheckpoint(name);
      references = await familyReferences(name);
      runners = new SharedRunners((setting) => load(checkpoint.path, setting));
    });
    after(async () => {
      await runners.dispose();
      checkpoint.remove();
    });

    it('has nothing that check finds fault with: each key and each tensor read, each graph legal', async () => {
      const findings = await checkModel({ modelPath: checkpoint.path });
      const others = findings.filter(({ level, text }) => level === 'error' || !EXTENSIONS[name]?.test(text));
      expect(others).to.deep.equal([]);
      expect(findings.length > 0).to.equal(name in EXTENSIONS);
      const router = await getModel(checkpoint.path);
      expect(router.config.unreadKeys).to.deep.equal([]);
    });

    for (const isa of isasInTurn(turn)) {
      it(`agrees with the reference in f32, ${isa} kernels`, async () => {
        const runner = await runners.get({ isa, dtype: 'f32' });
        const differences = await logitsBeside(runner, references, (found, { logits }) =>
          largestDifference(found, logits),
        );
        expect(Math.max(...differences)).to.be.at.most(TOLERANCE);
        for (const { prompt, keys } of references)
          if (keys) expect(await chosenKeys(runner, prompt), 'keys').to.deep.equal(recordedKeys(keys));
      });

      it(`agrees with f32 arithmetic on the same weights in bf16, ${isa} kernels`, async () => {
        const { cosine, compared } = await cosinesAlike(
          await runners.get({ isa, dtype: 'bf16' }),
          references,
        );
        expect(cosine).to.be.at.least(COSINES[own] ?? COSINE);
        expect(compared).to.be.at.least(COMPARED);
      });

      it(`gives the reference's greedy tokens, and the same bits in any company, ${isa} kernels`, async () => {
        const runner = await runners.get({ isa, dtype: 'f32' });
        const alone = await generateAll(runner, references, ALONE);
        for (const [i, reference] of references.entries()) {
          const expected = certainTokens(reference, TOLERANCE);
          expect(alone[i]?.tokens.slice(0, expected.length)).to.deep.equal(expected);
        }
        expect(await generateAll(runner, references, {}, 1), 'batched').to.deep.equal(alone);
        const chunked = await generateAll(runner, references, CHUNKED, 2);
        expect(chunked, 'in chunks beside decoding sequences').to.deep.equal(alone);
      });
    }

    for (const isa of BENT_SCORES.includes(name) ? SAMPLED_ISAS : []) {
      it(`has a cache of int8 that rounds alone, and the same bits in any company, ${isa} kernels`, async () => {
        const runner = await runners.get({ isa, dtype: 'bf16', kvQuant: 'int8' });
        const alone = await generateAll(runner, references, ALONE);
        expect(await generateAll(runner, references, CHUNKED, 1)).to.deep.equal(alone);
        const { cosine, compared } = await cosinesAlike(runner, references);
        expect(cosine).to.be.at.least(COSINE_OF_INTEGERS);
        expect(compared).to.be.at.least(COMPARED);
      });
    }

    it('gives the same bits in any company in bf16, and when sequences are preempted', async () => {
      const setting = { isa: BEST_ISA, dtype: 'bf16' } as const;
      const alone = await generateAll(await runners.get(setting), references, ALONE);
      const chunked = await generateAll(await runners.get(setting), references, CHUNKED, 1);
      expect(chunked, 'in chunks beside decoding sequences').to.deep.equal(alone);
      const cramped = await generateAll(await runners.get({ ...setting, numBlocks: 3 }), references, {});
      expect(cramped, 'with room for one long sequence').to.deep.equal(alone);
    });
  });
}
