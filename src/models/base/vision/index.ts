export * from './clip-tower.js';
export * from './config.js';
export * from './feature-layer.js';
export * from './mrope-model-atb.js';
export * from './patch-processor.js';
export * from './picture-config.js';
export * from './square-processor.js';
export * from './tower.js';
