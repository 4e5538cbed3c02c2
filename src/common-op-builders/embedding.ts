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

/** The same where axes take turns: rows of a table for each axis, which add up to a whole one. */
@CommonOpBuilder()
export class SummedPositionalEmbedding implements OpBuilder<'POSITIONAL_EMBEDDING'> {
  readonly category = 'POSITIONAL_EMBEDDING';

  isMatch({ embeddingType }: ParamOf<'POSITIONAL_EMBEDDING'>): true | string {
    return embeddingType === 'mrope_sum' || `wants mrope_sum, found ${embeddingType ?? 'rope'}`;
  }

  build(
    graph: AtbGraph,
    { opName }: ParamOf<'POSITIONAL_EMBEDDING'>,
    tensors: BuilderTensors['POSITIONAL_EMBEDDING'],
  ): void {
    const { positionIds, otherIds = [positionIds, positionIds], axisTables = [] } = tensors;
    const ids = [positionIds, ...otherIds];
    for (const part of ['cos', 'sin'] as const) {
      const rows = axisTables.map((tables, axis) => {
        const name = `${opName}_${part}_${axis}`;
        graph.addOperation(gather(name), [tables[part], ids[axis] as string], [name]);
        return name;
      });
      rows.reduce((sum, row, axis) => {
        const name = axis === rows.length - 1 ? tensors[`${part}Embedding`] : `${opName}_${part}_sum_${axis}`;
        graph.addOperation(
          new BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, name),
          [sum, row],
          [name],
        );
        return name;
      });
    }
  }
}

/**
 * Rows of the tables whose frequencies follow three positions, a section each (arXiv:2409.12191, section 2.1): the same
 * sections in both halves of a row, because a frequency turns an element of each.
 */
@CommonOpBuilder()
export class SectionedPositionalEmbedding implements OpBuilder<'POSITIONAL_EMBEDDING'> {
  readonly category = 'POSITIONAL_EMBEDDING';

  isMatch({ embeddingType, sections }: ParamOf<'POSITIONAL_EMBEDDING'>): true | string {
    if (embeddingType !== 'mrope') return `wants mrope, found ${embeddingType ?? 'rope'}`;
    return sections?.length === 3 || 'wants three sections';
  }

  build(
    graph: AtbGraph,
    param: ParamOf<'POSITIONAL_EMBEDDING'>,
    tensors: BuilderTensors['POSITIONAL_EMBEDDING'],
  ): void {
    const { cosTable, sinTable, cosEmbedding, sinEmbedding } = tensors;
    this.buildTable(graph, param, tensors, 'cos', cosTable, cosEmbedding);
    this.buildTable(graph, param, tensors, 'sin', sinTable, sinEmbedding);
  }

  protected readonly axes: readonly string[] = ['time', 'height', 'width'];

  /** Elements of a row that follow one another, of each axis in turn. */
  protected stretches(sections: readonly number[]): readonly number[] {
    return [...sections, ...sections];
  }

  private buildTable(
    graph: AtbGraph,
    { opName, sections = [] }: ParamOf<'POSITIONAL_EMBEDDING'>,
    { positionIds, otherIds = [positionIds, positionIds] }: BuilderTensors['POSITIONAL_EMBEDDING'],
    part: string,
    table: string,
    result: string,
  ): void {
    const rows = [positionIds, ...otherIds].map((ids, axis) => {
      const name = `${opName}_${part}_${this.axes[axis]}`;
      graph.addOperation(gather(name), [table, ids], [name]);
      return name;
    });
    const pieces: string[] = [];
    let offset = 0;
    for (const [index, size] of this.stretches(sections).entries()) {
      const name = `${opName}_${part}_section_${index}`;
      const slice = new BaseOperation('Slice', { offsets: [0, offset], size: [-1, size] }, name);
      offset += size;
      if (size === 0) continue;
      graph.addOperation(slice, [rows[index % sections.length] as string], [name]);
      pieces.push(name);
    }
    pieces.reduce((joined, piece, index) => {
      const name = index === pieces.length - 1 ? result : `${opName}_${part}_joined_${index}`;
      const concat = new BaseOperation('Concat', { concatDim: 1 }, name);
      graph.addOperation(concat, [joined, piece], [name]);
      return name;
    });
  }
}

/**
 * The same where each axis has a stretch of a whole row, twice its section: what an element turns by is not what its
 * other half does (transformers 5.24, `HunYuanVLRotaryEmbedding`).
 */
@CommonOpBuilder()
export class RowSectionedPositionalEmbedding extends SectionedPositionalEmbedding {
  protected override readonly axes: readonly string[] = ['axis_0', 'axis_1', 'axis_2', 'axis_3'];

  override isMatch({ embeddingType, sections = [] }: ParamOf<'POSITIONAL_EMBEDDING'>): true | string {
    if (embeddingType !== 'mrope_row') return `wants mrope_row, found ${embeddingType ?? 'rope'}`;
    return [3, 4].includes(sections.length) || 'wants three sections or four';
  }

  protected override stretches(sections: readonly number[]): readonly number[] {
    return sections.map((section) => 2 * section);
  }
}
