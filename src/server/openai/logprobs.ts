import type { SampledLogprobs } from '../../native/index.js';
import type { HfTokenizer } from '../../tokenizer/hf-tokenizer.js';

type Scored = SampledLogprobs | undefined;

/** JSON knows no infinity: what a grammar rules out has this log-probability, as in vLLM. */
const IMPOSSIBLE = -9999;
const finite = (logprob: number): number => Math.max(logprob, IMPOSSIBLE);

const NO_CHARACTER = '\uFFFD';

/** A token's text and bytes; half a character has bytes only. */
function tokenOf(tokenizer: HfTokenizer, id: number): { token: string; bytes: number[] } {
  const token = tokenizer.decode([id], { skipSpecialTokens: false });
  return { token, bytes: [...(token.includes(NO_CHARACTER) ? tokenizer.bytesOf(id) : Buffer.from(token))] };
}

const bestOf = ({ topTokens, topLogprobs }: SampledLogprobs): (readonly [id: number, logprob: number])[] =>
  Array.from(topTokens, (id, at) => [id, finite(topLogprobs[at] as number)]);

/** Log-probs as chat completions have them. */
export function chatLogprobs(
  tokenizer: HfTokenizer,
  tokens: readonly number[],
  logprobs: readonly SampledLogprobs[],
): object {
  const content = logprobs.map((scored, i) => ({
    ...tokenOf(tokenizer, tokens[i] as number),
    logprob: finite(scored.logprob),
    top_logprobs: bestOf(scored).map(([id, logprob]) => ({ ...tokenOf(tokenizer, id), logprob })),
  }));
  return { content, refusal: null };
}

/** Log-probs as completions have them, piece by piece of one text. */
export class CompletionLogprobs {
  readonly #tokenizer: HfTokenizer;
  #offset: number;

  /** `offset`: where the first token's text begins. */
  constructor(tokenizer: HfTokenizer, offset: number) {
    this.#tokenizer = tokenizer;
    this.#offset = offset;
  }

  /** Of the next tokens; the first of a prompt, which nothing comes before, has none. */
  of(tokens: readonly number[], scores: readonly Scored[]): object {
    const text = (id: number): string => tokenOf(this.#tokenizer, id).token;
    const texts = tokens.slice(0, scores.length).map(text);
    return {
      tokens: texts,
      token_logprobs: scores.map((scored) => scored && finite(scored.logprob)).map((found) => found ?? null),
      // The chosen token is always among them.
      top_logprobs: scores.map((scored, i) =>
        scored === undefined
          ? null
          : {
              ...Object.fromEntries(bestOf(scored).map(([id, logprob]) => [text(id), logprob])),
              [texts[i] as string]: finite(scored.logprob),
            },
      ),
      text_offset: texts.map(({ length }) => {
        this.#offset += length;
        return this.#offset - length;
      }),
    };
  }
}

/** Log-probs of a prompt by token id, as vLLM has them; the rank of a token that is none of the best is left out. */
export function promptLogprobs(
  tokenizer: HfTokenizer,
  tokens: readonly number[],
  scores: readonly Scored[],
): (object | null)[] {
  return scores.map((scored, i) => {
    if (scored === undefined) return null;
    const of = (id: number, logprob: number): object => ({
      logprob: finite(logprob),
      decoded_token: tokenOf(tokenizer, id).token,
    });
    const id = tokens[i] as number;
    const best = bestOf(scored).map(
      ([id, logprob], at) => [id, { ...of(id, logprob), rank: at + 1 }] as const,
    );
    return { [id]: of(id, scored.logprob), ...Object.fromEntries(best) };
  });
}
