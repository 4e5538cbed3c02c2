import { BaseModelATB } from './base-model-atb.js';

/** A model whose layers read no rotary tables. */
export class PositionFreeModelATB extends BaseModelATB {
  override buildPositionalEmbeddingGraph(): void {}
}
