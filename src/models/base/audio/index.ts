export * from './mel-processor.js';
export * from './tower.js';
