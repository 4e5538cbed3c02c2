/** What a family puts around what it writes to itself. */
export interface ReasoningFormat {
  readonly begin: string;
  readonly end: string;
  /** What it puts around the answer behind that, which is no part of it; nothing when absent. */
  readonly answer?: { readonly begin: string; readonly end: string };
}

const THINK = { begin: '<think>', end: '</think>' };

/** By what templates have in them, the more particular first. */
export const REASONING_FORMATS: readonly ReasoningFormat[] = [
  { begin: '<seed:think>', end: '</seed:think>' },
  {
    begin: '<|START_THINKING|>',
    end: '<|END_THINKING|>',
    answer: { begin: '<|START_RESPONSE|>', end: '<|END_RESPONSE|>' },
  },
  { begin: '<|START_THINKING|>', end: '<|END_THINKING|>' },
  { begin: '<|thought_start|>', end: '<|thought_end|>' },
  { begin: '[THINK]', end: '[/THINK]' },
  // Hunyuan, and ERNIE 4.5.
  { ...THINK, answer: { begin: '<answer>', end: '</answer>' } },
  { ...THINK, answer: { begin: '<response>', end: '</response>' } },
  THINK,
];
