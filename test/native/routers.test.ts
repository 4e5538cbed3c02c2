import { expect } from 'chai';
import { CommonOpBuilderManager, type ParamOf } from '../../src/common-op-builders/index.js';
import type { FloatDType } from '../../src/dtype.js';
import { AtbGraph } from '../../src/graph/atb-graph.js';
import { GROUP_INDICES } from '../../src/graph/ops/group-topk.js';
import { applyPasses, type PassSelection } from '../../src/graph/passes/index.js';
import { availableIsas, createEngine } from '../../src/native/index.js';
import { f32, i32, numbers } from './graphs.js';

type Router = Omit<ParamOf<'MOE_ROUTER'>, 'category' | 'opName' | 'dtype'>;

const TOKENS = 9;
const EXPERTS = 16;

/** Routers of published families; groups of 4. */
const ROUTERS: Readonly<Record<string, Router>> = {
  qwen2_moe: { topK: 4, scoring: 'softmax', choosesBy: 'scores', normalizes: false, scale: 1 },
  qwen3_moe: { topK: 4, scoring: 'softmax', choosesBy: 'scores', normalizes: true, scale: 1 },
  llama4: { topK: 1, scoring: 'sigmoid', choosesBy: 'logits', normalizes: false, scale: 1 },
  cohere2_moe: { topK: 4, scoring: 'softmax', choosesBy: 'logits', normalizes: false, scale: 1 },
  'cohere2_moe of sigmoids': { topK: 4, scoring: 'sigmoid', choosesBy: 'logits', normalizes: true, scale: 1 },
  deepseek_v2: {
    topK: 3,
    scoring: 'softmax',
    choosesBy: 'scores',
    groups: { count: 4, kept: 2, scored: 1 },
    normalizes: false,
    scale: 16,
  },
  deepseek_v3: {
    topK: 5,
    scoring: 'sigmoid',
    choosesBy: 'corrected',
    groups: { count: 4, kept: 2, scored: 2 },
    normalizes: true,
    sumGuard: 'added',
    scale: 2.5,
  },
  ernie4_5_moe: {
    topK: 2,
    scoring: 'softmax',
    choosesBy: 'corrected',
    normalizes: true,
    sumGuard: 'least',
    scale: 1,
  },
};

/** Repeatable numbers from -2 to 2 in steps of 1/4, of which many are equal. */
const drawn = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => ((Math.imul(i + seed, 2654435761) >>> 8) % 17) / 4 - 2);

/** The places of the largest numbers, descending; of equal ones the first. */
const best = (values: readonly number[], count: number): number[] =>
  [...values.keys()].sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0) || a - b).slice(0, count);

/** What a router chooses for one token, by the published formulas in f64. */
function expected(
  { topK, scoring, choosesBy, groups, normalizes, sumGuard, scale }: Router,
  logits: number[],
  added: readonly number[],
) {
  const largest = Math.max(...logits);
  // Logits that are compared themselves are scored among those that were chosen.
  const highest = choosesBy === 'logits' ? best(logits, topK) : [...logits.keys()];
  const sum = highest.reduce((total, i) => total + Math.exp((logits[i] ?? 0) - largest), 0);
  const scores = logits.map((x) =>
    scoring === 'softmax' ? Math.exp(x - largest) / sum : 1 / (1 + Math.exp(-x)),
  );
  let choice = scores.map((score, expert) =>
    choosesBy === 'corrected' ? score + (added[expert] ?? 0) : score,
  );
  if (groups) {
    const size = EXPERTS / groups.count;
    const ofGroup = Array.from({ length: groups.count }, (_, g) => {
      const own = choice.slice(g * size, (g + 1) * size);
      return best(own, groups.scored).reduce((total, i) => total + (own[i] ?? 0), 0);
    });
    const kept = best(ofGroup, groups.kept);
    choice = choice.map((value, expert) => (kept.includes(Math.floor(expert / size)) ? value : -Infinity));
  }
  const chosen = choosesBy === 'logits' ? highest : best(choice, topK);
  const weights = chosen.map((expert) => scores[expert] ?? 0);
  const whole = weights.reduce((all, weight) => all + weight, 0);
  const guarded = { added: whole + ADDED, least: Math.max(whole, LEAST), none: whole }[sumGuard ?? 'none'];
  return { chosen, probs: weights.map((weight) => (weight / (normalizes ? guarded : 1)) * scale) };
}

interface Setting {
  readonly isa: string;
  readonly dtype?: FloatDType;
  readonly passes?: PassSelection;
  readonly logits?: readonly number[];
  readonly correction?: readonly number[];
}

async function routed(
  router: Router,
  { isa, dtype = 'f32', passes = 'all', logits = LOGITS, correction = CORRECTION }: Setting,
) {
  const graph = new AtbGraph('router');
  const input = [
    'logits',
    ...(router.choosesBy === 'corrected' ? ['correction'] : []),
    ...(router.groups ? ['group_indices'] : []),
    ...(router.sumGuard ? ['sum_added'] : []),
    ...(router.sumGuard === 'least' ? ['sum_bound'] : []),
  ];
  graph.addInputOutput({ input, output: ['chosen', 'probs'] });
  CommonOpBuilderManager.getBuilder({ category: 'MOE_ROUTER', opName: 'router', dtype, ...router }).build(
    graph,
    {
      logits: 'logits',
      correction: 'correction',
      groupIndices: 'group_indices',
      sumAdded: 'sum_added',
      sumBound: 'sum_bound',
      chosenOut: 'chosen',
      probsOut: 'probs',
    },
  );
  const engine = createEngine({ threads: 2, isa });
  try {
    const given = {
      logits: f32([logits.length / EXPERTS, EXPERTS], logits),
      correction: f32([EXPERTS], correction),
      group_indices: i32(Array.from({ length: GROUP_INDICES }, (_, i) => i)),
      sum_added: f32([1], [router.sumGuard === 'least' ? -LEAST : ADDED]),
      sum_bound: f32([1], [LEAST]),
    };
    const inputs = Object.fromEntries(Object.entries(given).filter(([name]) => input.includes(name)));
    const spec = applyPasses(graph.build(), passes);
    const { outputs } = await engine.forward(spec, inputs);
    return { outputs, operations: spec.nodes.map(({ name }) => name) };
  } finally {
    engine.dispose();
  }
}

const LOGITS = drawn(TOKENS * EXPERTS, 5);
const CORRECTION = drawn(EXPERTS, 91).map((value) => value / 16 + 0.25);

/** deepseek_v3 and ernie4_5_moe: what they add to sums, and what sums are at least. */
const ADDED = 1e-20;
const LEAST = 1e-12;

async function itAgrees(router: Router, setting: Setting): Promise<void> {
  const { logits = LOGITS, correction = CORRECTION } = setting;
  const { outputs } = await routed(router, setting);
  const tokens = Array.from({ length: logits.length / EXPERTS }, (_, t) =>
    expected(router, logits.slice(t * EXPERTS, (t + 1) * EXPERTS), correction),
  );
  expect(numbers(outputs.chosen)).to.deep.equal(tokens.flatMap(({ chosen }) => chosen));
  const probs = tokens.flatMap((token) => token.probs);
  for (const [i, prob] of numbers(outputs.probs).entries()) expect(prob).to.be.closeTo(probs[i] ?? 0, 4e-6);
}

for (const isa of availableIsas()) {
  describe(`routers, ${isa} kernels`, () => {
    for (const passes of ['all', 'none'] as const) {
      for (const [family, router] of Object.entries(ROUTERS))
        it(`choose and weigh experts as ${family} does, passes ${passes}`, () =>
          itAgrees(router, { isa, passes }));

      it(`choose none of a dropped group, however low corrected scores are, passes ${passes}`, () =>
        itAgrees(ROUTERS.deepseek_v3 as Router, {
          isa,
          passes,
          correction: CORRECTION.map((value) => value - 1.0625),
        }));

      it(`choose the highest of logits whose sigmoids are all 1, passes ${passes}`, () =>
        itAgrees(ROUTERS['cohere2_moe of sigmoids'] as Router, {
          isa,
          passes,
          logits: LOGITS.map((logit) => logit + 40),
        }));

      it(`weigh experts whose scores sum up to nothing, passes ${passes}`, async () => {
        const nothing = Array.from({ length: EXPERTS }, () => -200);
        await itAgrees(ROUTERS.deepseek_v3 as Router, { isa, passes, logits: nothing });
        // One expert takes all, and is corrected away; the others' shares are below the bound, and above it.
        const correction = [-8, ...Array.from({ length: EXPERTS - 1 }, (_, i) => 1 / (i + 1))];
        for (const gap of [29, 27.5, 20])
          await itAgrees(ROUTERS.ernie4_5_moe as Router, {
            isa,
            passes,
            logits: [gap, ...Array.from({ length: EXPERTS - 1 }, (_, i) => i / 16)],
            correction,
          });
      });
    }

    it('choose groups by scores that are not rounded, whatever the model runs in', async () => {
      const router = ROUTERS.deepseek_v2 as Router;
      const exact = await routed(router, { isa });
      const found = await routed(router, { isa, dtype: 'bf16' });
      expect(found.operations).to.deep.equal([
        'router_softmax',
        'router_round',
        'router_groups',
        'router_compare',
        'router_invert',
        'router_limit',
        'router_sort',
        'router_scale',
      ]);
      expect(numbers(found.outputs.chosen)).to.deep.equal(numbers(exact.outputs.chosen));
    });
  });
}
