/** What a family puts around what it writes to itself. */
export interface ReasoningFormat {
  readonly begin: string;
  readonly end: string;
}

/** By what templates have in them, the more particular first. */
export const REASONING_FORMATS: readonly ReasoningFormat[] = [
  { begin: '<seed:think>', end: '</seed:think>' },
  { begin: '<|START_THINKING|>', end: '<|END_THINKING|>' },
  { begin: '[THINK]', end: '[/THINK]' },
  { begin: '<think>', end: '</think>' },
];
