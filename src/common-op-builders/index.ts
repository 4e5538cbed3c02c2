// Importing a builder's file registers it.
import './activation.js';
import './adapted-linear.js';
import './attention.js';
import './embedding.js';
import './gate-up.js';
import './linear.js';
import './linear-parallel.js';
import './lm-head.js';
import './moe.js';
import './moe-router.js';
import './norm.js';
import './qkv.js';
import './recurrent.js';
import './rope.js';
import './sparse-attention.js';

export { loraShares } from './adapted-linear.js';
export { multiplyHeads } from './head-products.js';
export { writeKeys } from './latent-attention.js';
export {
  type BoundBuilder,
  CommonOpBuilder,
  CommonOpBuilderManager,
  registerCommonOpBuilder,
} from './manager.js';
export { sortByExperts } from './moe.js';
export * from './types.js';
