import { fixed, type OpDefinition } from './definition.js';

/** x -> the reduction of every rank's x. */
export interface AllReduceParam {
  readonly allReduceType?: 'sum' | 'max' | 'min';
  readonly processGroup?: string;
}

export const allReduce: OpDefinition<'AllReduce', AllReduceParam> = {
  type: 'AllReduce',
  arity: fixed(1, 1),
  shapes: (inputs) => [inputs.at(0)],
};

/** x -> [rankSize, ...x]. */
export interface AllGatherParam {
  readonly processGroup?: string;
}

export const allGather: OpDefinition<'AllGather', AllGatherParam> = {
  type: 'AllGather',
  arity: fixed(1, 1),
  shapes: (inputs) => inputs.fail('the shape of AllGather depends on the process group'),
};
