import type { FloatDType } from '../dtype.js';
import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import { CommonOpBuilder } from './manager.js';
import { tensorOf } from './tensor-of.js';
import type { BuilderTensors, ExpertGroups, OpBuilder, ParamOf } from './types.js';

type Param = ParamOf<'MOE_ROUTER'>;
type Tensors = BuilderTensors['MOE_ROUTER'];

/** The experts of the highest scores, whose weights are those scores (MindIE: softMaxTopK, deviceLimited). */
@CommonOpBuilder()
export class ScoreTopK implements OpBuilder<'MOE_ROUTER'> {
  readonly category = 'MOE_ROUTER';

  isMatch({ isCorrected }: Param): true | string {
    return !isCorrected || 'wants scores without a correction';
  }

  build(graph: AtbGraph, param: Param, tensors: Tensors): void {
    const scores = addScores(graph, param, tensors.logits);
    const limited = addGroupLimit(graph, param, tensors, scores);
    const weights = rawWeights(param, tensors);
    addTopK(graph, param, limited, weights, tensors.chosenOut);
    addWeights(graph, param, weights, tensors.probsOut);
  }
}

/** The experts of the highest corrected scores, whose weights are the scores themselves (MindIE: noAuxTc). */
@CommonOpBuilder()
export class CorrectedTopK implements OpBuilder<'MOE_ROUTER'> {
  readonly category = 'MOE_ROUTER';

  isMatch({ isCorrected }: Param): true | string {
    return isCorrected || 'wants a correction of the scores';
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
    const weights = rawWeights(param, tensors);
    graph.addOperation(
      new BaseOperation('Gather', { axis: 1, batchDims: 1 }, `${opName}_gather`),
      [scores, tensors.chosenOut],
      [weights],
    );
    addWeights(graph, param, weights, tensors.probsOut);
  }
}

function addScores(graph: AtbGraph, { opName, scoring }: Param, logits: string): string {
  const scores = `${opName}_scores`;
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
function addWeights(graph: AtbGraph, param: Param, scores: string, probs: string): void {
  const { opName, normalizes, scale } = param;
  let weights = scores;
  if (normalizes) {
    const normed = scale === 1 ? probs : `${opName}_normed`;
    graph.addOperation(new BaseOperation('VectorNorm', {}, `${opName}_sum`), [weights], [`${opName}_sums`]);
    const divide = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_REALDIV' }, `${opName}_normalize`);
    graph.addOperation(divide, [weights, `${opName}_sums`], [normed]);
    weights = normed;
  }
  if (scale === 1) return;
  const muls = { elewiseType: 'ELEWISE_MULS', mulsParam: { varAttr: scale } } as const;
  graph.addOperation(new BaseOperation('Elewise', muls, `${opName}_scale`), [weights], [probs]);
}

const ACL_OF_DTYPE = { f32: 'ACL_FLOAT', f16: 'ACL_FLOAT16', bf16: 'ACL_BF16' } as const satisfies Record<
  FloatDType,
  string
>;

/**
 * `scores` of which those outside of the best groups are 0; without groups `scores` themselves. ATB's GroupTopk takes 16
 * bits only. So it decides about rounded scores, and the groups that it kept are put back in f32.
 */
function addGroupLimit(graph: AtbGraph, param: Param, tensors: Tensors, scores: string): string {
  const { opName, groups, dtype } = param;
  if (groups === undefined || groups.kept === groups.count) return scores;
  const indices = tensorOf(param, tensors, 'groupIndices');
  const limited = `${opName}_limited`;
  const [rounded, copy] = [`${opName}_rounded`, `${opName}_rounded_scores`];
  const cast = { elewiseType: 'ELEWISE_CAST', outTensorType: ACL_OF_DTYPE[dtype] } as const;
  for (const [name, out] of [
    [`${opName}_round`, rounded],
    [`${opName}_round_scores`, copy],
  ] as const)
    graph.addOperation(new BaseOperation('Elewise', cast, name), [scores], [out]);
  graph.addOperation(groupTopK(groups, `${opName}_groups`), [rounded, indices], [rounded]);
  const [kept, mask] = [`${opName}_kept`, `${opName}_kept_f32`];
  graph.addOperation(
    new BaseOperation('Elewise', { elewiseType: 'ELEWISE_EQUAL' }, `${opName}_compare`),
    [rounded, copy],
    [kept],
  );
  graph.addOperation(new BaseOperation('Cast', { dtype: 'ACL_FLOAT' }, `${opName}_widen`), [kept], [mask]);
  graph.addOperation(
    new BaseOperation('Elewise', { elewiseType: 'ELEWISE_MUL' }, `${opName}_limit`),
    [scores, mask],
    [limited],
  );
  return limited;
}

const groupTopK = ({ count, kept, scored }: ExpertGroups, name: string): BaseOperation =>
  new BaseOperation(
    'GroupTopk',
    { groupNum: count, k: kept, groupMultiFlag: scored > 1 ? 1 : 0, n: scored },
    name,
  );
