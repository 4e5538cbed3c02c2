import type { ActivationKind } from '../common-op-builders/index.js';

/** What an MLP is told by the configuration. */
export interface MLPConfig {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly hiddenAct: ActivationKind;
  readonly mlpBias: boolean;
  /** Whether the last projection has one, where that differs from the others. */
  readonly downBias?: boolean;
}
