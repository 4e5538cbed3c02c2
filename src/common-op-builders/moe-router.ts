import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import type { ElewiseParam } from '../graph/ops/elewise.js';
import { ACL_OF_DTYPE } from '../graph/ops/inputs.js';
import { CommonOpBuilder } from './manager.js';
import { tensorOf } from './tensor-of.js';
import type { BuilderTensors, ExpertGroups, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'MOE_ROUTER'>;
type Tensors = BuilderTensors['MOE_ROUTER'];

/** The experts of the highest scores, whose weights are those scores (MindIE: softMaxTopK, deviceLimited). */
@CommonOpBuilder()
export class ScoreTopK implements OpBuilder<'MOE_ROUTER'> {
  readonly category = 'MOE_ROUTER';

  isMatch({ choosesBy }: Param): true | string {
    return choosesBy === 'scores' || 'wants a choice by scores without a correction';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const scores = addScores(graph, param, tensors.logits);
    const limited = addGroupLimit(graph, param, tensors, scores);
    const weights = rawWeights(param, tensors);
    addTopK(graph, param, limited, weights, tensors.chosenOut);
    addWeights(graph, param, tensors, weights);
  }
}

/** The experts of the highest corrected scores, whose weights are the scores themselves (MindIE: noAuxTc). */
@CommonOpBuilder()
export class CorrectedTopK implements OpBuilder<'MOE_ROUTER'> {
  readonly category = 'MOE_ROUTER';

  isMatch({ choosesBy }: Param): true | string {
    return choosesBy === 'corrected' || 'wants a choice by corrected scores';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const { opName } = param;
    const scores = addScores(graph, param, tensors.logits);
    const corrected = `${opName}_corrected`;
    graph.addOperation(
      new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, `${opName}_correct`),
      [scores, tensorOf(param, tensors, 'correction')],
      [corrected],
    );
    const limited = addGroupLimit(graph, param, tensors, corrected);
    addTopK(graph, param, limited, `${opName}_top_corrected`, tensors.chosenOut);
    addWeights(graph, param, tensors, addChosenScores(graph, param, tensors, scores));
  }
}

/** Experts that are chosen already, whose weights are their scores. */
@CommonOpBuilder()
export class ChosenBefore implements OpBuilder<'MOE_ROUTER'> {
  readonly category = 'MOE_ROUTER';

  isMatch({ choosesBy }: Param): true | string {
    return choosesBy === 'nothing' || 'wants a choice that was made before';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const scores = addScores(graph, param, tensors.logits);
    addWeights(graph, param, tensors, addChosenScores(graph, param, tensors, scores));
  }
}

/** Of all scores those of chosen experts. Returns their name. */
function addChosenScores(graph: AtbGraph, param: Param, tensors: Tensors, scores: string): string {
  const weights = rawWeights(param, tensors);
  graph.addOperation(
    new BaseOperation('Gather', { axis: 1, batchDims: 1 }, `${param.opName}_gather`),
    [scores, tensors.chosenOut],
    [weights],
  );
  return weights;
}

/** The experts of the highest logits: sigmoids of high logits are all 1, and would not tell them apart. */
@CommonOpBuilder()
export class LogitTopK implements OpBuilder<'MOE_ROUTER'> {
  readonly category = 'MOE_ROUTER';

  isMatch({ choosesBy, groups }: Param): true | string {
    if (choosesBy !== 'logits') return 'wants a choice by logits';
    return groups === undefined || 'wants experts that stand in no groups';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const best = `${param.opName}_top_logits`;
    addTopK(graph, param, tensors.logits, best, tensors.chosenOut);
    const weights = rawWeights(param, tensors);
    addScores(graph, param, best, weights);
    addWeights(graph, param, tensors, weights);
  }
}

function addScores(
  graph: AtbGraph,
  { opName, scoring }: Param,
  logits: string,
  scores = `${opName}_scores`,
): string {
  if (scoring === 'none') return logits;
  const op =
    scoring === 'softmax'
      ? new BaseOperation('Softmax', { axes: [1] }, `${opName}_softmax`)
      : new BaseOperation('Sigmoid', {}, `${opName}_sigmoid`);
  graph.addOperation(op, [logits], [scores]);
  return scores;
}

function addTopK(
  graph: AtbGraph,
  { opName, topK }: Param,
  scores: string,
  best: string,
  chosen: string,
): void {
  graph.addOperation(new BaseOperation('Sort', { num: [topK] }, `${opName}_sort`), [scores], [best, chosen]);
}

/** What the scores of chosen experts are called before anything is made of them. */
const rawWeights = ({ opName, normalizes, scale }: Param, { probsOut }: Tensors): string =>
  normalizes || scale !== 1 ? `${opName}_top_scores` : probsOut;

/** Divides weights by their sum, and scales them, where the param says so. */
function addWeights(graph: AtbGraph, param: Param, tensors: Tensors, scores: string): void {
  const { opName, normalizes, scale } = param;
  const { probsOut: probs } = tensors;
  let weights = scores;
  if (normalizes) {
    const normed = scale === 1 ? probs : `${opName}_normed`;
    const divide = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_REALDIV' }, `${opName}_normalize`);
    graph.addOperation(divide, [weights, addSums(graph, param, tensors, weights)], [normed]);
    weights = normed;
  }
  if (scale === 1) return;
  const muls = { elewiseType: 'ELEWISE_MULS', mulsParam: { varAttr: scale } } as const;
  graph.addOperation(new BaseOperation('Elewise', muls, `${opName}_scale`), [weights], [probs]);
}

/** The sums of weights [tokens, 1], kept above 0. ATB has no maximum: max(s, m) is relu(s - m) + m. */
function addSums(graph: AtbGraph, param: Param, tensors: Tensors, weights: string): string {
  const { opName, sumGuard } = param;
  const sums = `${opName}_sums`;
  graph.addOperation(new BaseOperation('VectorNorm', {}, `${opName}_sum`), [weights], [sums]);
  if (sumGuard === undefined) return sums;
  const added = addSum(sums, tensorOf(param, tensors, 'sumAdded'), `${opName}_sums_added`);
  if (sumGuard === 'added') return added;
  const above = `${opName}_sums_above`;
  const relu = new BaseOperation('Activation', { activationType: 'ACTIVATION_RELU' }, `${above}_relu`);
  graph.addOperation(relu, [added], [above]);
  return addSum(above, tensorOf(param, tensors, 'sumBound'), `${opName}_sums_bounded`);

  function addSum(a: string, b: string, out: string): string {
    const add = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, `${out}_add`);
    graph.addOperation(add, [a, b], [out]);
    return out;
  }
}

/** What is added to scores that must not be chosen. */
const NEVER = -1e30;

/**
 * `scores` with those outside of the best groups far below all others, so that they are chosen in no case; without groups
 * `scores` themselves. ATB's GroupTopk takes 16 bits only, and makes 0 of them. So it decides about rounded scores, and
 * what it changed is lowered in f32.
 */
function addGroupLimit(graph: AtbGraph, param: Param, tensors: Tensors, scores: string): string {
  const { opName, groups, dtype } = param;
  if (groups === undefined || groups.kept === groups.count) return scores;
  const elewise = (name: string, elewiseParam: ElewiseParam, inputs: readonly string[], out: string) =>
    graph.addOperation(new BaseOperation('Elewise', elewiseParam, `${opName}_${name}`), inputs, [out]);
  const [rounded, copy] = [`${opName}_rounded`, `${opName}_rounded_scores`];
  const cast = { elewiseType: 'ELEWISE_CAST', outTensorType: ACL_OF_DTYPE[dtype] } as const;
  elewise('round', cast, [scores], rounded);
  elewise('round_scores', cast, [scores], copy);
  const indices = tensorOf(param, tensors, 'groupIndices');
  graph.addOperation(groupTopK(groups, `${opName}_groups`), [rounded, indices], [rounded]);
  const [kept, dropped, wide] = [`${opName}_kept`, `${opName}_dropped`, `${opName}_dropped_f32`];
  elewise('compare', { elewiseType: 'ELEWISE_EQUAL' }, [rounded, copy], kept);
  elewise('invert', { elewiseType: 'ELEWISE_LOGICAL_NOT' }, [kept], dropped);
  graph.addOperation(
    new BaseOperation('Cast', { dtype: 'ACL_FLOAT' }, `${opName}_widen_dropped`),
    [dropped],
    [wide],
  );
  const [depth, limited] = [`${opName}_depth`, `${opName}_limited`];
  elewise('lower', { elewiseType: 'ELEWISE_MULS', mulsParam: { varAttr: NEVER } }, [wide], depth);
  elewise('limit', { elewiseType: 'ELEWISE_ADD' }, [scores, depth], limited);
  return limited;
}

const groupTopK = ({ count, kept, scored }: ExpertGroups, name: string): BaseOperation =>
  new BaseOperation(
    'GroupTopk',
    { groupNum: count, k: kept, groupMultiFlag: scored > 1 ? 1 : 0, n: scored },
    name,
  );
