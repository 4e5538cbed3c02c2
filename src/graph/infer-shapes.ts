import { AtbError } from '../errors.js';
import type { ViewDim } from './graph-spec.js';
import { Inputs, type OpPlace, opOf, type TensorDesc } from './ops/index.js';

export type { OpPlace, TensorDesc } from './ops/index.js';

/** What an operation makes of its inputs. Throws GRAPH_SHAPE_MISMATCH, GRAPH_OP_UNKNOWN. Rules: ATB's InferShape checks. */
export function inferShapes(
  type: string,
  param: object,
  inputs: readonly TensorDesc[],
  place: OpPlace,
): TensorDesc[] {
  return opOf(type).shapes(new Inputs(place, inputs), param);
}

/** The shape of a view on a tensor. Throws GRAPH_VIEW_INVALID unless it has as many elements. */
export function viewShape(
  source: readonly number[],
  dims: readonly ViewDim[],
  place: { readonly graph: string; readonly view: string },
): number[] {
  const shape = dims.map((size) => {
    if (typeof size === 'number') return size;
    return size.axes.reduce((product, axis) => {
      const extent = source[axis];
      if (extent === undefined) {
        throw new AtbError('GRAPH_VIEW_INVALID', { ...place, reason: `names axis ${axis} of [${source}]` });
      }
      return product * extent;
    }, 1);
  });
  const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);
  if (product(shape) !== product(source)) {
    throw new AtbError('GRAPH_VIEW_INVALID', { ...place, reason: `cannot show [${source}] as [${shape}]` });
  }
  return shape;
}
