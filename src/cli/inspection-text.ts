import { describeValue, escapeInvisible } from '../describe-value.js';
import type { MemoryEstimate } from '../runner/estimate-memory.js';
import type { StoredForms } from '../runner/stored-forms.js';
import { bytesText } from './bytes-text.js';
import type { Inspection } from './inspection.js';

/** An inspection for a terminal: one line a subject. */
export function inspectionText(found: Inspection): string {
  const lines: Array<readonly [subject: string, text: string]> = [
    ['directory', found.directory],
    ['model', modelText(found)],
  ];
  const { config, weights, memory } = found;
  if (config) {
    const { numAttentionHeads, numKeyValueHeads, headDim, kvLoraRank, indexTopK } = config;
    const chosen = indexTopK === undefined ? '' : `, of ${indexTopK} chosen tokens`;
    const shared =
      kvLoraRank === undefined
        ? `${numKeyValueHeads} of keys and values, each of ${headDim}`
        : `a latent vector of ${kvLoraRank} and a key of ${headDim} that turns${chosen}`;
    const heads =
      numAttentionHeads === undefined ? 'no attention' : `${numAttentionHeads} heads over ${shared}`;
    lines.push([
      'shape',
      `${config.numHiddenLayers} layers, hidden ${config.hiddenSize}, ${heads}, vocabulary ${config.vocabSize}, context ${config.maxPositionEmbeddings}`,
    ]);
  }
  if (config && config.unreadKeys.length > 0) {
    lines.push(['unread keys', config.unreadKeys.map(({ key }) => describeValue(key)).join(', ')]);
  }
  if (weights) {
    const dtypes = Object.entries(weights.dtypes).map(
      ([dtype, { tensors, bytes }]) => `${dtype} ${tensors} (${bytesText(bytes)})`,
    );
    const files = `${weights.files} ${weights.files === 1 ? 'file' : 'files'}`;
    const quantised =
      weights.quantType === undefined ? '' : `; quantised: ${describeValue(weights.quantType)}`;
    lines.push([
      'weights',
      `${weights.tensors} tensors in ${files}, ${bytesText(weights.bytes)}: ${dtypes.join(', ')}${quantised}`,
    ]);
    lines.push(...formLines(weights.stored));
    for (const [subject, names, why = ''] of [
      ['unused', weights.unused],
      ['partly read', weights.partlyRead],
      ['left out', weights.prediction?.tensors, predictionText(weights.prediction?.bytes ?? 0)],
    ] as const) {
      const [first, ...others] = names ?? [];
      if (first === undefined) continue;
      const more = others.length > 0 ? ` and ${others.length} more` : '';
      lines.push([subject, `${describeValue(first)}${more}${why}`]);
    }
  }
  if (memory) lines.push(...memoryLines(memory));
  if (found.speed) {
    const { readBytesPerSecond, tokensPerSecond } = found.speed;
    const read = `${(readBytesPerSecond / 1e9).toFixed(1)} GB/s of memory read`;
    lines.push(['decoding', `at most ${tokensPerSecond.toFixed(1)} tokens/s of one sequence, by ${read}`]);
  }
  lines.push(['tokenizer', found.tokenizer ?? 'broken']);
  lines.push(['chat template', found.chatTemplates?.map((name) => describeValue(name)).join(', ') || 'none']);
  for (const warning of found.warnings) lines.push(['warning', warning]);
  if (found.problems.length === 0) lines.push(['problems', 'none']);
  for (const { message } of found.problems) lines.push(['problem', message]);
  return lines.map(([subject, text]) => `${subject.padEnd(14)} ${escapeInvisible(text)}\n`).join('');
}

/** A line for each form of the linears of a quantised checkpoint, and one for those that stay floats. */
function formLines(stored: StoredForms | undefined): Array<readonly [subject: string, text: string]> {
  if (stored === undefined) return [];
  const lines = stored.forms.map((form): readonly [string, string] => {
    const { desc, groupSize, hasOffset, isReordered, linears, bitsPerWeight } = form;
    const groups = groupSize === 0 ? 'a scale for each output' : `groups of ${groupSize}`;
    const more = `${hasOffset ? ', zero points' : ''}${isReordered ? ', act-order' : ''}`;
    return [
      'quantised',
      `${linears} products ${desc}, ${groups}${more}: ${bitsPerWeight.toFixed(2)} bits a weight`,
    ];
  });
  const [first, ...others] = stored.floats;
  if (first === undefined) return lines;
  const rest = others.length > 0 ? ` and ${others.length} more` : '';
  return [...lines, ['not quantised', `${describeValue(first)}${rest}`]];
}

const predictionText = (bytes: number): string =>
  `, ${bytesText(bytes)} of layers that guess further tokens, which nothing here asks for`;

function memoryLines(memory: MemoryEstimate): Array<readonly [subject: string, text: string]> {
  const { dtype, cacheDType, context, batch, budgetBytes, longestContext, largestBatch } = memory;
  const sequences = (count: number) => (count === 1 ? '1 sequence' : `${count} sequences`);
  const parts = [
    `weights ${bytesText(memory.weightBytes)}`,
    `cache of ${sequences(batch)} of ${context} tokens ${bytesText(memory.cacheBytes)}`,
    `position tables ${bytesText(memory.positionBytes)}`,
    `activations ${bytesText(memory.activationBytes)}`,
    ...(memory.draftBytes > 0 ? [`draft model ${bytesText(memory.draftBytes)}`] : []),
  ];
  const most = [
    `${sequences(batch)} of up to ${longestContext} tokens`,
    `up to ${sequences(largestBatch)} of ${context}`,
  ];
  return [
    ['KV cache', `${bytesText(memory.kvBytesPerToken)} per token in ${cacheDType}`],
    ['memory', `${bytesText(memory.totalBytes)} in ${dtype}: ${parts.join(', ')}`],
    [
      'fits',
      longestContext === 0 && largestBatch === 0
        ? `not into ${bytesText(budgetBytes)}`
        : `into ${bytesText(budgetBytes)}: ${most.join(', or ')}`,
    ],
  ];
}

function modelText({ modelType, architectures, modelClass, nearest }: Inspection): string {
  const names = architectures.map((name) => describeValue(name)).join(', ');
  const type = modelType === undefined ? 'no model_type' : describeValue(modelType);
  const runs = modelClass
    ? `runs as ${modelClass}`
    : `not supported${nearest ? `; the nearest that is: ${nearest}` : ''}`;
  return `${type}${names === '' ? '' : ` (${names})`}, ${runs}`;
}
