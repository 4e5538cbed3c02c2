import { runWithin } from '../bounded.js';
import { AtbError } from '../errors.js';
import { BYTE_OF_CHARACTER } from './byte-level.js';
import { cleanUpPiece } from './clean-up.js';

/** Tokens to pieces of text, all of them at once: some steps look at the neighbours. */
type Step = (tokens: readonly string[]) => string[];

/** No tokenizer that we know has a pattern in its decoder. One that runs here must be unable to backtrack far. */
const PATTERN_LIMIT_MS = 100;
const SIMPLE_PATTERN = /^(?:[^\\()*+?{]|\\.)*(?:[*+?]|\{\d+(?:,\d*)?\})?(?:[^\\()*+?{]|\\.)*$/s;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf8Lossy = new TextDecoder('utf-8', { ignoreBOM: true });

/**
 * The decoder of a tokenizer.json, step by step as the Rust library has it. It runs here and not beside the encoder:
 * every generated token is decoded at once.
 * @throws TOKENIZER_INVALID for an unknown or malformed step, TOKENIZER_PATTERN
 */
export function buildDecoder(json: unknown, file: string): (tokens: readonly string[]) => string {
  const fail = (problem: string): never => {
    throw new AtbError('TOKENIZER_INVALID', { file, problem });
  };
  if (json === null || json === undefined) return (tokens) => tokens.join(' ');
  const step = stepOf(json, file, fail, 0);
  return (tokens) => step(tokens).join('');
}

function stepOf(json: unknown, file: string, fail: (problem: string) => never, depth: number): Step {
  const step = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  const { type } = step;
  const text = (key: string, fallback?: string): string => {
    const value = step[key] ?? fallback;
    return typeof value === 'string' ? value : fail(`decoder: ${key} of ${String(type)} must be a string`);
  };
  const flag = (key: string, fallback: boolean): boolean =>
    typeof step[key] === 'boolean' ? (step[key] as boolean) : fallback;
  const count = (key: string): number => {
    const value = step[key];
    return Number.isInteger(value) && (value as number) >= 0
      ? (value as number)
      : fail(`decoder: ${key} of ${String(type)} must be a whole number`);
  };
  switch (type) {
    case 'ByteLevel':
      return decodeByteLevel;
    case 'ByteFallback':
      return decodeByteFallback;
    case 'Fuse':
      return (tokens) => [tokens.join('')];
    case 'Metaspace': {
      const scheme = step.prepend_scheme ?? (step.add_prefix_space === false ? 'never' : 'always');
      return metaspace(text('replacement', '▁'), scheme !== 'never');
    }
    case 'WordPiece':
      return wordPiece(text('prefix', '##'), flag('cleanup', true));
    case 'BPEDecoder':
      return bpe(text('suffix', '</w>'));
    case 'CTC':
      return ctc(text('pad_token', '<pad>'), text('word_delimiter_token', '|'), flag('cleanup', true));
    case 'Replace':
      return replace(step.pattern, text('content'), file, fail);
    case 'Strip':
      return strip(text('content'), count('start'), count('stop'));
    case 'Sequence': {
      if (!Array.isArray(step.decoders) || depth > 8)
        return fail('decoder: Sequence needs a list of decoders');
      const steps = step.decoders.map((inner) => stepOf(inner, file, fail, depth + 1));
      return (tokens) => steps.reduce<string[]>((pieces, inner) => inner(pieces), [...tokens]);
    }
    default:
      return fail(`Unknown Decoder type: ${typeof type === 'string' ? type : 'none'}`);
  }
}

/** A token with a character that spells no byte stands for its own text. */
function decodeByteLevel(tokens: readonly string[]): string[] {
  const chunks = tokens.map((token) => {
    const bytes = Array.from(token, (character) => BYTE_OF_CHARACTER.get(character));
    return bytes.every((byte) => byte !== undefined) ? Buffer.from(bytes) : Buffer.from(token, 'utf8');
  });
  return [utf8Lossy.decode(Buffer.concat(chunks))];
}

/** Runs of `<0xNN>` become text where they are UTF-8, and a U+FFFD for each byte where they are not. */
function decodeByteFallback(tokens: readonly string[]): string[] {
  const pieces: string[] = [];
  let bytes: number[] = [];
  const flush = (): void => {
    if (bytes.length === 0) return;
    try {
      pieces.push(utf8.decode(Uint8Array.from(bytes)));
    } catch {
      pieces.push(...bytes.map(() => '\uFFFD'));
    }
    bytes = [];
  };
  for (const token of tokens) {
    const [, hex] = /^<0x([\da-fA-F]{2})>$/.exec(token) ?? [];
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else {
      flush();
      pieces.push(token);
    }
  }
  flush();
  return pieces;
}

/** The first token loses its mark; elsewhere marks are blanks. */
function metaspace(mark: string, isPrepended: boolean): Step {
  return (tokens) =>
    tokens.map((token, index) => token.replaceAll(mark, () => (index === 0 && isPrepended ? '' : ' ')));
}

function wordPiece(prefix: string, isCleaned: boolean): Step {
  return (tokens) =>
    tokens.map((token, index) => {
      const piece = index === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
      return isCleaned ? cleanUpPiece(piece) : piece;
    });
}

function bpe(suffix: string): Step {
  return (tokens) =>
    tokens.map((token, index) => {
      const blank = index === tokens.length - 1 ? '' : ' ';
      return suffix === '' ? token : token.replaceAll(suffix, blank);
    });
}

function ctc(pad: string, delimiter: string, isCleaned: boolean): Step {
  return (tokens) =>
    tokens
      .filter((token, index) => index === 0 || token !== tokens[index - 1])
      .map((token) => {
        const piece = token.replaceAll(pad, '');
        return isCleaned ? cleanUpPiece(piece).replaceAll(delimiter, ' ') : piece;
      })
      .filter((piece) => piece !== '');
}

function replace(pattern: unknown, content: string, file: string, fail: (problem: string) => never): Step {
  const { String: plain, Regex: regex } = (pattern ?? {}) as Record<string, unknown>;
  if (typeof plain === 'string')
    return plain === ''
      ? (tokens) => [...tokens]
      : (tokens) => tokens.map((token) => token.replaceAll(plain, () => content));
  if (typeof regex !== 'string') return fail('decoder: pattern of Replace must be a Regex or a String');
  if (!SIMPLE_PATTERN.test(regex)) {
    const reason = 'the pattern of a decoder may have one repetition, and no groups';
    throw new AtbError('TOKENIZER_PATTERN', { file, part: 'decoder', pattern: regex, reason });
  }
  let compiled: RegExp;
  try {
    // The library's "^" and "$" are the ends of each line.
    compiled = new RegExp(regex, 'gmu');
  } catch (error) {
    return fail(`decoder: ${error instanceof Error ? error.message : String(error)}`);
  }
  return (tokens) =>
    runWithin(PATTERN_LIMIT_MS, () => tokens.map((token) => token.replace(compiled, () => content)));
}

function strip(content: string, start: number, stop: number): Step {
  return (tokens) =>
    tokens.map((token) => {
      const characters = Array.from(token);
      let [from, to] = [0, characters.length];
      while (from < Math.min(start, characters.length) && characters[from] === content) from++;
      while (to > from && characters.length - to < stop && characters[to - 1] === content) to--;
      return characters.slice(from, to).join('');
    });
}
