/** The ranks that share a model's weights. */
export interface TensorParallelInfo {
  readonly rank: number;
  readonly worldSize: number;
  readonly backend: 'hccl' | 'lccl';
  readonly rankTableFile: string;
  /** ATB's name of the communication group. */
  readonly processGroup: string;
}

export const SINGLE_RANK: TensorParallelInfo = {
  rank: 0,
  worldSize: 1,
  backend: 'lccl',
  rankTableFile: '',
  processGroup: '0',
};
