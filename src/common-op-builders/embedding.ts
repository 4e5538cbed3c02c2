import { type AtbGraph, BaseOperation } from '../graph/atb-graph.js';
import { buildAllGather } from './linear-parallel.js';
import { CommonOpBuilder } from './manager.js';
import type { BuilderTensors, OpBuilder, ParamOf } from './types.js';

type WordParam = ParamOf<'WORD_EMBEDDING'>;
type WordTensors = BuilderTensors['WORD_EMBEDDING'];

const gather = (opName: string) => new BaseOperation('Gather', { axis: 0 }, opName);

@CommonOpBuilder()
export class NoParallelWordEmbedding implements OpBuilder<'WORD_EMBEDDING'> {
  readonly category = 'WORD_EMBEDDING';

  isMatch({ parallelInfo }: WordParam): true | string {
    return parallelInfo.worldSize === 1 || `wants one rank, found ${parallelInfo.worldSize}`;
  }

  build(graph: AtbGraph, { opName }: WordParam, tensors: WordTensors): void {
    graph.addOperation(
      gather(opName),
      [tensors.embeddingWeights, tensors.inputIds],
      [tensors.wordEmbeddingOut],
    );
  }
}

/** Each rank holds some columns of the table. */
@CommonOpBuilder()
export class AllGatherWordEmbedding implements OpBuilder<'WORD_EMBEDDING'> {
  readonly category = 'WORD_EMBEDDING';

  isMatch({ parallelInfo }: WordParam): true | string {
    return parallelInfo.worldSize > 1 || 'wants several ranks, found one';
  }

  build(graph: AtbGraph, { opName, parallelInfo }: WordParam, tensors: WordTensors): void {
    const partial = `${tensors.wordEmbeddingOut}_partial`;
    graph.addOperation(gather(opName), [tensors.embeddingWeights, tensors.inputIds], [partial]);
    buildAllGather(graph, opName, parallelInfo.processGroup, partial, tensors.wordEmbeddingOut);
  }
}

/** The rows of the cos and sin tables for each token. */
@CommonOpBuilder()
export class PositionalEmbedding implements OpBuilder<'POSITIONAL_EMBEDDING'> {
  readonly category = 'POSITIONAL_EMBEDDING';

  isMatch({ embeddingType = 'rope' }: ParamOf<'POSITIONAL_EMBEDDING'>): true | string {
    return embeddingType === 'rope' || `wants rope, found ${embeddingType}`;
  }

  build(
    graph: AtbGraph,
    { opName }: ParamOf<'POSITIONAL_EMBEDDING'>,
    tensors: BuilderTensors['POSITIONAL_EMBEDDING'],
  ): void {
    const { positionIds, cosTable, sinTable, cosEmbedding, sinEmbedding } = tensors;
    graph.addOperation(gather(`${opName}_cos`), [cosTable, positionIds], [cosEmbedding]);
    graph.addOperation(gather(`${opName}_sin`), [sinTable, positionIds], [sinEmbedding]);
  }
}
