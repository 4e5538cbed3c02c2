export * from './config.js';
export * from './mel-processor.js';
export * from './plane-front.js';
export * from './row-groups.js';
export * from './sound-processor.js';
export * from './tower.js';
export * from './whisper.js';
