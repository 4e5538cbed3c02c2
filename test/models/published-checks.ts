import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { specProblems } from '../../src/graph/nested-legality.js';
import { inputDescs } from '../../src/models/base/input-descs.js';
import { getRouter, type Router } from '../../src/router/index.js';
import { declaredWeights } from '../../src/weights/weights.js';

/** What a config.json says. */
export type Dict = Readonly<Record<string, unknown>>;

export function routerOf(dict: Dict): Router {
  return new (getRouter(dict.model_type))('/nowhere', dict);
}

/** Why a config.json is refused; what is read of it where it is not. */
export function problemsOf(dict: Dict): string {
  try {
    return JSON.stringify(routerOf(dict).config);
  } catch (error) {
    if (error instanceof AtbError && error.code === 'CONFIG_INVALID') return error.message;
    throw error;
  }
}

const EXTENSION_OPS =
  'BlockAttention|CausalConv1d|CompressedAttention|DepthwiseConv|GatedDeltaRule|HyperWeights|LightningIndexer|MixStreams|RealGatedLru|SelectiveScan|SparseAttention|WindowPool';

/**
 * What ATB lacks: recurrent states, attention to chosen keys, sinks, bounds of gates, values of another size than keys where a
 * sequence has several tokens, and blocks for heads of 464 or 512 of which several queries are read.
 */
export const KNOWN = new RegExp(
  `^(${EXTENSION_OPS}) is an extension op$|^(hasSinks|limit|clampForm|gateScale) is an extension key$|^CALC_TYPE_SPEC takes values of the size|^head size (464|512) with blocks`,
);

/** Blocks of 64 tokens: ATB has no room for larger ones with heads of more than 128 elements. */
export function itIsRead(name: string, dict: Dict): void {
  it(`have legal graphs of every kind, and no key that nobody reads: ${name}`, () => {
    const router = routerOf(dict);
    const model = router.createModel(declaredWeights('bf16'));
    expect(router.config.unreadKeys).to.deep.equal([]);
    for (const kind of model.graphKinds) {
      const descs = inputDescs(model, kind, 'bf16', { batch: 2, tokens: 300, blockSize: 64 });
      const problems = specProblems(model.buildGraph(kind), descs);
      expect(
        problems.filter(({ text }) => !KNOWN.test(text)),
        kind.name,
      ).to.deep.equal([]);
    }
  });
}

export function itIsRefused(what: string, dict: Dict, names: RegExp): void {
  it(`are refused by field and value: ${what}`, () => {
    expect(problemsOf(dict)).to.match(names);
  });
}
