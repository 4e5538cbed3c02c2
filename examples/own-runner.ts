import { join } from 'node:path';
import { HfTokenizer, ModelRunner } from '../src/index.js';

/**
 * A loop of one's own over `ModelRunner`, as a server with a scheduler of its own has it: who runs when, which blocks are
 * whose, and which token comes next are decided here. `node dist/examples/own-runner.js [DIR [PROMPT…]]`.
 */
const [dir = join(import.meta.dirname, '../../examples/models/tiny-stories'), ...given] =
  process.argv.slice(2);
const prompts = given.length > 0 ? given : ['The cat', 'One day, a boy'];

const tokenizer = await HfTokenizer.load(dir);
const sequences = prompts.map((prompt) => ({ tokens: [...tokenizer.encode(prompt)], blocks: [0] }));
const NEW_TOKENS = 20;

const blockSize = 32;
const longest = Math.max(...sequences.map(({ tokens }) => tokens.length)) + NEW_TOKENS;
const perSequence = Math.ceil(longest / blockSize);
// Each sequence has blocks of its own here; which ones they are and in which order is free.
for (const [i, sequence] of sequences.entries())
  sequence.blocks = Array.from({ length: perSequence }, (_, block) => i + block * sequences.length);

const runner = await ModelRunner.load({
  modelPath: dir,
  blockSize,
  numBlocks: perSequence * sequences.length,
  maxPositionEmbeddings: perSequence * blockSize,
});
try {
  for (let step = 0; step < NEW_TOKENS; step++) {
    const isPrefill = step === 0;
    // Whole prompts first, one beside the other; then the last token of each sequence.
    const places = sequences.map(({ tokens }) => (isPrefill ? [...tokens.keys()] : [tokens.length - 1]));
    const slotOf = (i: number, place: number) =>
      (sequences[i]?.blocks[Math.floor(place / blockSize)] ?? 0) * blockSize + (place % blockSize);
    const { data, shape } = await runner.forward({
      inputIds: Int32Array.from(
        sequences.flatMap(({ tokens }, i) => (places[i] ?? []).map((at) => tokens[at] ?? 0)),
      ),
      positionIds: Int32Array.from(places.flat()),
      isPrefill,
      blockTables: sequences.map(({ blocks }) => blocks),
      slots: Int32Array.from(places.flatMap((list, i) => list.map((at) => slotOf(i, at)))),
      inputLengths: Int32Array.from(sequences, ({ tokens }) => tokens.length),
    });
    const [, vocabSize = 0] = shape;
    for (const [i, { tokens }] of sequences.entries()) {
      const logits = data.subarray(i * vocabSize, (i + 1) * vocabSize);
      tokens.push(logits.indexOf(Math.max(...logits)));
    }
  }
  for (const { tokens } of sequences) console.log(tokenizer.decode(tokens));
} finally {
  runner.dispose();
}
