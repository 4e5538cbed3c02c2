export { printDot } from './dot.js';
export { printSvg } from './svg.js';
export { printText } from './text.js';
