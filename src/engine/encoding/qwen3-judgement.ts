import { AtbError, refuseRequest } from '../../errors.js';
import type { EncodedText } from '../../runner/steps.js';
import type { OpenEncoder } from './open-encoder.js';

/** What is judged. */
export interface Judged {
  readonly instruction: string;
  readonly query: string;
  readonly document: string;
}

// As README.md of github.com/QwenLM/Qwen3-Embedding has them for transformers (f4ad0c4, the same as the model card).
export const DEFAULT_INSTRUCTION =
  'Given a web search query, retrieve relevant passages that answer the query';
export const QWEN3_MAX_LENGTH = 8192;
const BEFORE =
  '<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n';
const BEHIND = '<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n';

/** The words in which Qwen3-Reranker is asked whether a document answers a query, and where its answer stands. */
export class Qwen3Judgement {
  private constructor(
    private readonly encoder: OpenEncoder,
    private readonly before: readonly number[],
    private readonly behind: readonly number[],
    private readonly yes: number,
    private readonly no: number,
  ) {}

  /** @throws TOKENIZER_* for a tokenizer without the tokens "yes" and "no" */
  static async of(encoder: OpenEncoder): Promise<Qwen3Judgement> {
    const tokenizer = encoder.requireTokenizer();
    const [yes, no] = ['yes', 'no'].map((word) => {
      const id = tokenizer.tokenToId(word);
      if (id !== undefined) return id;
      throw new AtbError('TOKENIZER_INVALID', {
        file: tokenizer.file,
        problem: `has no token "${word}", by which a language model ranks`,
      });
    });
    const bare = { addSpecialTokens: false };
    const [before, behind] = await Promise.all([
      tokenizer.encodeAsync(BEFORE, bare),
      tokenizer.encodeAsync(BEHIND, bare),
    ]);
    const frame = before.length + behind.length;
    if (encoder.maxSeqLength <= frame)
      refuseRequest('maxSeqLength', `more than the ${frame} tokens of the question`, encoder.maxSeqLength);
    return new Qwen3Judgement(encoder, before, behind, yes as number, no as number);
  }

  /** The question about one document, whose text is cut so that all of it fits. */
  async tokens({ instruction, query, document }: Judged): Promise<EncodedText> {
    const asked = `<Instruct>: ${instruction}\n<Query>: ${query}\n<Document>: ${document}`;
    const { tokenIds } = await this.encoder.tokens(asked);
    const { before, behind } = this;
    const room = this.encoder.maxSeqLength - before.length - behind.length;
    return { tokenIds: Int32Array.of(...before, ...tokenIds.subarray(0, room), ...behind) };
  }

  /** log(P(yes) / P(no)) of the logits [vocab] behind the question; its sigmoid is the published score. */
  logitOf(logits: Float32Array): number {
    return (logits[this.yes] as number) - (logits[this.no] as number);
  }
}
