import { describeValue } from '../describe-value.js';
import { AtbError, refuseRequest } from '../errors.js';
import { DEFAULT_DRAFT_TOKENS, DraftModel, MAX_CATCH_UP } from '../runner/draft-model.js';
import { blockBytesOf } from '../runner/kv-block-bytes.js';
import { ModelRunner } from '../runner/model-runner.js';
import { type OpenModel, type OpenModelOptions, openModel } from '../runner/open-model.js';
import { plannedWeightBytes } from '../runner/planned-model.js';
import { requireRewinding } from '../runner/rewinding.js';
import type { RunnerOptions } from '../runner/runner-options.js';
import type { HfTokenizer } from '../tokenizer/hf-tokenizer.js';

/** How a draft model is opened: as its files are, whatever the target's weights become. */
type DraftOpenOptions = Pick<
  OpenModelOptions,
  'modelDirs' | 'allowUnread' | 'allowLinks' | 'onWarning' | 'loadTokenizer'
>;

/** A draft model whose vocabulary is the target's, and what it will take. No weights are read yet. */
export class OpenDraft {
  readonly weightBytes: number;

  private constructor(
    private readonly open: OpenModel,
    private readonly target: OpenModel,
  ) {
    this.weightBytes = plannedWeightBytes(open);
  }

  /** @throws DRAFT_VOCABULARY_DIFFERS, and what `openModel` throws */
  static async of(target: OpenModel, modelPath: string, options: DraftOpenOptions): Promise<OpenDraft> {
    const { modelDirs, allowUnread, allowLinks, onWarning, loadTokenizer } = options;
    const open = await openModel({
      modelPath,
      ...(modelDirs && { modelDirs }),
      ...(allowUnread !== undefined && { allowUnread }),
      ...(allowLinks !== undefined && { allowLinks }),
      ...(onWarning && { onWarning }),
      ...(loadTokenizer !== undefined && { loadTokenizer }),
    });
    requireRewinding(open, 'draftModelPath');
    const difference = vocabularyDifference(
      { tokenizer: (await target.text()).tokenizer, vocabSize: target.config.vocabSize },
      { tokenizer: (await open.text()).tokenizer, vocabSize: open.config.vocabSize },
    );
    if (difference !== undefined) {
      const [{ directory: targetDir }, { directory: draftDir }] = [target.checkpoint, open.checkpoint];
      throw new AtbError('DRAFT_VOCABULARY_DIFFERS', { target: targetDir, draft: draftDir, difference });
    }
    return new OpenDraft(open, target);
  }

  /** Bytes of one block of its caches. */
  blockBytes(blockSize: number): number {
    return blockBytesOf(this.open.model, this.open.cacheDType, blockSize);
  }

  /** Puts it on an engine of its own, with as many blocks of the same size as the target has. */
  async load(
    { blockSize, numBlocks }: ModelRunner,
    limits: { readonly maxBatchSize: number; readonly maxModelLen: number },
    options: Partial<RunnerOptions>,
  ): Promise<DraftModel> {
    const { threads, isa, weightsCache, nativePath } = options;
    const context = Math.min(limits.maxModelLen, this.open.config.maxPositionEmbeddings);
    const runner = await ModelRunner.load(this.open, {
      blockSize,
      numBlocks,
      largestStep: { tokens: MAX_CATCH_UP, batch: limits.maxBatchSize, context },
      ...(threads !== undefined && { threads }),
      ...(isa !== undefined && { isa }),
      ...(weightsCache !== undefined && { weightsCache }),
      ...(nativePath !== undefined && { nativePath }),
    });
    return new DraftModel(runner, this.target.config.vocabSize);
  }
}

interface Vocabulary {
  readonly tokenizer: HfTokenizer | undefined;
  /** Of logits. */
  readonly vocabSize: number;
}

/** A token that is not the same in both; without tokenizers, sizes that differ. */
function vocabularyDifference(target: Vocabulary, draft: Vocabulary): string | undefined {
  const [ours, its] = [target.tokenizer, draft.tokenizer];
  if (!ours || !its)
    return target.vocabSize === draft.vocabSize
      ? undefined
      : `the one has ${draft.vocabSize} tokens, the other ${target.vocabSize}`;
  // Logits may be padded to different sizes, and one of them may have tokens in places that the other leaves free.
  for (let id = 0; id < Math.min(ours.vocabSize, its.vocabSize); id++) {
    const [wanted, found] = [ours.idToToken(id), its.idToToken(id)];
    if (wanted !== undefined && found !== undefined && wanted !== found)
      return `token ${id} is ${describeValue(found)} in the one and ${describeValue(wanted)} in the other`;
  }
  return undefined;
}

/** @throws REQUEST_INVALID for guesses of a model without one */
export function draftTokensOf(draftModelPath: string | undefined, draftTokens: number | undefined): number {
  if (draftModelPath === undefined) return draftTokens ?? 0;
  if (draftTokens === 0) refuseRequest('draftTokens', 'at least 1 with a draft model', draftTokens);
  return draftTokens ?? DEFAULT_DRAFT_TOKENS;
}
