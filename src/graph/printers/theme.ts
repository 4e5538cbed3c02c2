import type { BoxKind } from './figure.js';

export interface Colour {
  readonly fill: string;
  readonly line: string;
}

/** Light fills with dark text: readable on a screen and in print. */
export const COLOURS: Readonly<Record<BoxKind, Colour>> = {
  matmul: { fill: '#dbeafe', line: '#3b82f6' },
  norm: { fill: '#dcfce7', line: '#22a35a' },
  attention: { fill: '#fee2e2', line: '#dc4a4a' },
  move: { fill: '#f1f5f9', line: '#94a3b8' },
  elementwise: { fill: '#fef3c7', line: '#d39a1c' },
  graph: { fill: '#ede9fe', line: '#8b5cf6' },
  input: { fill: '#ffffff', line: '#94a3b8' },
  output: { fill: '#0f172a', line: '#0f172a' },
};
