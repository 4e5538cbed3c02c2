import {
  type ConfigOf,
  constant,
  defineConfig,
  type Field,
  field,
  integer,
  only,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import type { SignedBuckets } from '../../step-inputs/index.js';
import { renamed, type Weights } from '../../weights/weights.js';
import { type DebertaNames, FlashDebertaATB, HARMLESS_IN_DEBERTA } from '../base/deberta-atb.js';
import { DEBERTA_FIELDS, DEBERTA_IRRELEVANT } from '../deberta_v2/index.js';

/** A row for each distance; files write -1 where all positions are known. */
const distanceBuckets: Field<SignedBuckets, { readonly maxPositionEmbeddings: number }> = {
  read(json, { maxPositionEmbeddings: all }) {
    const farthest = json.value('max_relative_positions', integer(-1, 2 ** 20)) ?? -1;
    return { buckets: 0, farthest: farthest < 1 ? all : farthest };
  },
};

/** Defaults of transformers 5.24, DebertaConfig and DebertaModel. */
const DEBERTA_CONFIG = defineConfig({
  fields: {
    ...DEBERTA_FIELDS,
    distanceBuckets,
    distanceNorm: constant('none' as const),
    sharesProjections: constant(false),
    keyBias: constant(false),
    convTaps: constant(0),
    convAct: constant('tanh' as const),
    mixesHeads: field('talking_head', only(false), false),
  },
  irrelevant: DEBERTA_IRRELEVANT,
});
type DebertaV1Config = ConfigOf<typeof DEBERTA_CONFIG>;

const NAMES: DebertaNames = {
  name: 'deberta',
  qkv: {
    packed: 'attention.self.in_proj',
    order: 'groups',
    biases: { q: 'attention.self.q_bias', v: 'attention.self.v_bias' },
  },
  projections: { c2p: { name: 'pos_proj', hasBias: false }, p2c: { name: 'pos_q_proj', hasBias: true } },
};

/** Each layer's biases of queries and of values lie beside its projections, under names without an end of their own. */
const withBiases = (weights: Weights): Weights =>
  weights.mapped((source) => renamed(source, (name) => name.replace(/\.([qv]_bias)\.bias$/, '.$1')));

/** The first DeBERTa: distances have a row each, and layers pack their projections (arXiv:2006.03654). */
export class FlashDebertaModelATB extends FlashDebertaATB<DebertaV1Config> {
  constructor(config: DebertaV1Config, weights: Weights) {
    super(config, withBiases(weights), NAMES);
  }
}

export const DebertaRouter = routerOf(DEBERTA_CONFIG, FlashDebertaModelATB, {
  harmlessTensors: HARMLESS_IN_DEBERTA,
  about: {
    kind: 'encoder',
    features: ['as deberta_v2', 'a row for each distance', 'projections packed by heads'],
    reference: 'transformers',
  },
});
registerModel('deberta', DebertaRouter);
