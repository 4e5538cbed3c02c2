import type { SampledLogprobs } from '../../native/index.js';
import type { HfTokenizer } from '../../tokenizer/hf-tokenizer.js';

/** A token's text and bytes; half a character has bytes only. */
function tokenOf(tokenizer: HfTokenizer, id: number): { token: string; bytes: number[] } {
  const token = tokenizer.decode([id], { skipSpecialTokens: false });
  return { token, bytes: [...Buffer.from(token)] };
}

/** Log-probs as chat completions have them. */
export function chatLogprobs(
  tokenizer: HfTokenizer,
  tokens: readonly number[],
  logprobs: readonly SampledLogprobs[],
): object {
  const content = logprobs.map(({ logprob, topTokens, topLogprobs }, i) => ({
    ...tokenOf(tokenizer, tokens[i] as number),
    logprob,
    top_logprobs: Array.from(topTokens, (id, at) => ({
      ...tokenOf(tokenizer, id),
      logprob: topLogprobs[at],
    })),
  }));
  return { content, refusal: null };
}

/** Log-probs as completions have them; `offset` is where the first token's text begins. */
export function completionLogprobs(
  tokenizer: HfTokenizer,
  tokens: readonly number[],
  logprobs: readonly SampledLogprobs[],
  offset: number,
): object {
  const texts = tokens.slice(0, logprobs.length).map((id) => tokenOf(tokenizer, id).token);
  let at = offset;
  return {
    tokens: texts,
    token_logprobs: logprobs.map(({ logprob }) => logprob),
    top_logprobs: logprobs.map(({ topTokens, topLogprobs }) =>
      Object.fromEntries(Array.from(topTokens, (id, i) => [tokenOf(tokenizer, id).token, topLogprobs[i]])),
    ),
    text_offset: texts.map((text) => {
      at += text.length;
      return at - text.length;
    }),
  };
}
