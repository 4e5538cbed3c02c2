export * from './config.js';
export * from './encoder.js';
