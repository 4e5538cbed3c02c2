export * from './anyres-processor.js';
export * from './config.js';
export * from './encoder.js';
export * from './packed-projector.js';
export * from './published.js';
