import { EmbeddingModel } from '../engine/encoding/embedding-model.js';
import type { EncoderOptions } from '../engine/encoding/open-encoder.js';
import { AtbError, refuseRequest } from '../errors.js';
import type { RunPaArguments } from './run-pa.js';

/** Options of `run-pa` that answers have and vectors do not. Sizes of batches and caches are of no effect. */
function refuseAnswering({ runner, sampling, ...args }: RunPaArguments): void {
  const { isChatModel, stream, perfCsv, profile } = args;
  const { kvQuant, chatTemplate, loraModules } = runner;
  const asked = { isChatModel, stream, perfCsv, profile, kvQuant, chatTemplate, loraModules, ...sampling };
  for (const [option, found] of Object.entries(asked)) {
    if (found === undefined || found === false) continue;
    const reason = 'a model that embeds answers nothing';
    throw new AtbError('OPTION_UNSUPPORTED', { option, found, reason });
  }
}

/** What of a runner's options is about loading, and its limits as an encoder's. */
function encoderOptions({ runner }: RunPaArguments): { modelPath: string; options: EncoderOptions } {
  const {
    maxBatchSize: _batch,
    maxOutputLength: _output,
    maxPrefillBatchSize: _prefill,
    cacheBytes: _cache,
    blockSize: _block,
    sampling: _sampling,
    profile: _profile,
    kvQuant: _kv,
    chatTemplate: _template,
    loraModules: _adapters,
    modelPath,
    maxInputLength,
    maxPrefillTokens,
    ...rest
  } = runner;
  const options = {
    ...rest,
    ...(maxInputLength !== undefined && { maxSeqLength: maxInputLength }),
    ...(maxPrefillTokens !== undefined && { maxBatchTokens: maxPrefillTokens }),
  };
  return { modelPath, options };
}

/**
 * `run-pa --is_embedding_model`: the vectors of all prompts, with `--json` as one object.
 * @throws OPTION_UNSUPPORTED for options of answers, what `EmbeddingModel` throws
 */
export async function printEmbeddings(
  args: RunPaArguments,
  observers: Pick<EncoderOptions, 'onProgress' | 'onWarning'>,
  print: (text: string) => void,
): Promise<void> {
  refuseAnswering(args);
  const { inputs } = args;
  if (inputs.kind === 'dialogues')
    refuseRequest('--input_file', 'absent: dialogues are not embedded', inputs.kind);
  const { modelPath, options } = encoderOptions(args);
  const model = await EmbeddingModel.load(modelPath, { ...options, ...observers });
  try {
    const found = await model.embed(inputs.prompts);
    if (args.json) {
      const embeddings = found.map(({ vector, tokens }, index) => ({
        index,
        tokens,
        embedding: [...vector],
      }));
      print(`${JSON.stringify({ embeddings }, undefined, 2)}\n`);
      return;
    }
    for (const [index, { vector, tokens }] of found.entries())
      print(`Embedding[${index}]: ${tokens} tokens, ${vector.length} numbers\n[${vector.join(', ')}]\n\n`);
  } finally {
    await model.dispose();
  }
}
