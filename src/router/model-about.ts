/** The kinds that tables of families are divided into, by what their members share. */
export const MODEL_KINDS = {
  llama: "Llama's kind",
  variant: 'other norms, residuals, packings',
  remote: 'code beside the checkpoint',
  gemma: "Gemma's kind",
  positions: 'learned positions, packings head by head, MLPs without a gate',
  experts: 'mixtures of experts',
  encoder: 'encoders',
  media: 'models that see or hear',
  other: 'others',
} as const;
export type ModelKind = keyof typeof MODEL_KINDS;

/** What a family says of itself to people: its router's `about`. */
export interface ModelAbout {
  readonly kind: ModelKind;
  /** What its layers do otherwise than Llama's, a few words each. */
  readonly features: readonly string[];
  /** What its logits agree with; undefined: nobody has said. */
  readonly reference: 'transformers' | `transformers, as ${string}` | 'published formulas' | undefined;
}

export const NOTHING_SAID: ModelAbout = { kind: 'other', features: [], reference: undefined };
