import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import type { Weights } from '../../weights/weights.js';
import { EPSILON, type VisionParts, VisionTower } from '../base/vision/index.js';
import type { Qwen3vlConfig } from './config.js';

/** What mergers and their parts are called. */
export type MergersNames = Pick<VisionParts, 'mergerNames' | 'deepMergers'>;

const NAMES: MergersNames = { mergerNames: { norm: 'norm', up: 'linear_fc1', down: 'linear_fc2' } };

/** Learned positions beside rotary ones, and vectors of some layers for the first layers of text (arXiv:2511.21631). */
export class Qwen3vlVisionTower extends VisionTower {
  constructor(config: Qwen3vlConfig['vision'], weights: Weights, names: MergersNames = NAMES) {
    const mlp = { ...config, mlpBias: true };
    super(
      {
        ...config,
        norm: (at, size) => new BaseLayerNorm(at, size, EPSILON, { hasBias: true }),
        mlp: (at) => new UngatedMLP(mlp, at, { names: { up: 'linear_fc1', down: 'linear_fc2' } }),
        patchBias: true,
        positionSide: Math.round(Math.sqrt(config.numPositions)),
        ...names,
      },
      weights,
    );
  }
}
