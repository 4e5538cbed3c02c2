export * from './flash-causal-llama-atb.js';
export * from './modeling-llama-atb.js';
export * from './renamed-llama.js';
export * from './router-llama.js';
export * from './sparse-llama.js';
