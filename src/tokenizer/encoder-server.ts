import { createHash } from 'node:crypto';
import { AtbError } from '../errors.js';
import { encoderError } from './encoder-problem.js';
import type {
  EncoderProblem,
  EncoderReply,
  EncoderRequest,
  LoadRequest,
  ServerMessage,
} from './encoder-protocol.js';
import { prepareTokenizer } from './prepared-tokenizer.js';
import { messageOf, OpenFailure, RustTokenizer } from './rust-tokenizer.js';
import { readTokenizerFiles } from './tokenizer-source.js';

// The process in which tokenizers run. It answers one request after another, and may be ended at any time.

/** What one text may need: tokenizers need some 200 bytes per character. */
const BASE_BYTES = 2 ** 30;
const BYTES_PER_CHARACTER = 512;
const WATCH_MS = 20;

const tokenizers = new Map<number, RustTokenizer>();

async function answer(tokenizer: number, request: EncoderRequest): Promise<EncoderReply> {
  try {
    if (request.kind === 'open') {
      tokenizers.set(tokenizer, new RustTokenizer(request));
      return { ids: new Uint32Array() };
    }
    if (request.kind === 'load') return await load(tokenizer, request);
    const found = tokenizers.get(tokenizer);
    if (found === undefined) throw new Error('the tokenizer is not loaded');
    const watch = watchMemory(request.text.length + (request.typed?.pair?.length ?? 0));
    try {
      return await found.encode(request);
    } finally {
      clearInterval(watch);
    }
  } catch (error) {
    return { problem: problemOf(error) };
  }
}

async function load(
  tokenizer: number,
  { dir, links, lowercase, digest: before }: LoadRequest,
): Promise<EncoderReply> {
  const { prepared, opening } = prepareTokenizer(await readTokenizerFiles(dir, links), lowercase);
  const { file, patterns } = prepared;
  const digest = createHash('sha256').update(opening.json).digest('hex');
  if (before !== undefined && digest !== before)
    throw new AtbError('TOKENIZER_INVALID', {
      file,
      problem: 'is another tokenizer than the one that was loaded',
    });
  let opened: RustTokenizer;
  try {
    opened = new RustTokenizer(opening);
  } catch (error) {
    if (!(error instanceof OpenFailure)) throw error;
    throw encoderError(error.problem, { file, patterns, textLen: opening.json.length, limitMs: 0 });
  }
  tokenizers.set(tokenizer, opened);
  const writtenTexts = opened.writtenTexts(prepared.normalizedIds, prepared.tokens);
  return { ids: new Uint32Array(), loaded: { prepared: { ...prepared, writtenTexts }, digest } };
}

function problemOf(error: unknown): EncoderProblem {
  if (error instanceof OpenFailure) return error.problem;
  if (!(error instanceof AtbError)) return { kind: 'refused', message: messageOf(error) };
  const { code, detail }: AtbError = error;
  return { kind: 'error', code, detail };
}

/** Ends this process when a text takes too much memory; the library itself works in another thread meanwhile. */
function watchMemory(textLen: number): NodeJS.Timeout {
  const limit = process.memoryUsage.rss() + BASE_BYTES + BYTES_PER_CHARACTER * textLen;
  return setInterval(() => {
    if (process.memoryUsage.rss() < limit) return;
    const problem: EncoderProblem = { kind: 'died', message: `it needs more than ${limit} bytes of memory` };
    process.send?.({ problem } satisfies EncoderReply, () => end());
  }, WATCH_MS);
}

/** At once: a thread that hangs would keep a usual exit waiting. */
function end(): void {
  process.kill(process.pid, 'SIGKILL');
}

process.on('disconnect', end);
process.on('message', (message: ServerMessage) => {
  if (message.kind === 'close') tokenizers.delete(message.tokenizer);
  else void answer(message.tokenizer, message.request).then((reply) => process.send?.(reply));
});
