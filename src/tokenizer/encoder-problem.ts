import { AtbError } from '../errors.js';
import type { EncoderProblem } from './encoder-protocol.js';
import type { TokenizerPattern } from './tokenizer-json.js';

/** What was asked of the encoder's process, for messages. */
export interface EncoderTask {
  readonly file: string;
  /** Characters of the text, or of the tokenizer's file. */
  readonly textLen: number;
  readonly limitMs: number;
  readonly patterns: readonly TokenizerPattern[];
}

/** Why the encoder's process gave no answer, as an error. */
export function encoderError(
  problem: EncoderProblem,
  { file, textLen, limitMs, patterns }: EncoderTask,
): AtbError {
  switch (problem.kind) {
    case 'slow':
      return new AtbError('TOKENIZER_TOO_SLOW', { file, textLen, limitMs });
    case 'died':
      return new AtbError('TOKENIZER_CRASHED', { file, textLen, reason: problem.message });
    case 'pattern': {
      const { part = 'tokenizer', pattern = '' } = patterns[problem.index] ?? {};
      return new AtbError('TOKENIZER_PATTERN', { file, part, pattern, reason: problem.message });
    }
    case 'refused':
      return new AtbError('TOKENIZER_INVALID', { file, problem: problem.message });
    case 'error':
      return new AtbError(problem.code, problem.detail);
  }
}
