import { AtbError } from '../errors.js';
import type { TensorRef } from './tensor-ref.js';

/** A LoRA adapter beside a model's weights (arXiv:2106.09685). */
export interface Adapter {
  /** What requests call it. */
  readonly name: string;
  readonly rank: number;
  /** What its result is multiplied by where it counts. */
  readonly scale: number;
}

/** The name under which a checkpoint has a product of an adapter, which is beside a projection: `q_proj.lora_A.@name`. */
export const adapterTensor = (projection: string, product: 'A' | 'B', adapter: string): string =>
  `${projection}.lora_${product}.@${adapter}`;

/** Of which adapter a tensor of a checkpoint is; undefined for one of the model's own. */
export const adapterOfTensor = (tensor: string): string | undefined =>
  /\.lora_[AB]\.@(.+)\.weight$/.exec(tensor)?.[1];

/** @throws WEIGHT_ADAPTER_UNREAD for weights of adapters among those of what reads no tokens, as an encoder of pictures */
export function refuseAdapters(weights: readonly TensorRef[]): void {
  const names = weights.flatMap(({ name }) => (/\.lora_[AB]\.@/.test(name) ? [name] : []));
  const [, adapter] = /\.lora_A\.@(.+)$/.exec(names[0] ?? '') ?? [];
  if (adapter !== undefined) throw new AtbError('WEIGHT_ADAPTER_UNREAD', { adapter, tensors: names });
}
