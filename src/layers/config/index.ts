export { type BaseConfig, baseConfig, type ConfigRules } from './base-config.js';
export { type ConfigDict, isDict } from './fields.js';
