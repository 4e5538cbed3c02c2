import { join } from 'node:path';
import { expect } from 'chai';
import { z } from 'zod';
import { LLM } from '../../src/engine/llm.js';
import type { ErrorCode } from '../../src/errors.js';
import type { Guide } from '../../src/guided/index.js';
import { failure } from '../weights/safetensors-writer.js';

const TINY_STORIES = join(import.meta.dirname, '../../../examples/models/tiny-stories');
const PROMPT = 'Once upon a time';
const person = z.object({
  name: z.string().max(12),
  age: z.int().min(0).max(99),
  likes: z.array(z.string()),
});

describe('guided answers', function () {
  this.timeout(60_000);
  let llm: LLM;
  before(async () => {
    llm = await LLM.load(TINY_STORIES, { threads: 2, blockSize: 32, maxNumSeqs: 8 });
  });
  after(() => llm.dispose());

  it('are values for each of several prompts, and no other kind of schema', async () => {
    const options = { schema: z.object({ age: z.int().max(9) }), maxTokens: 40 };
    const values = await llm.generate([PROMPT, 'A dog'], options);
    expect(values.map(({ age }) => age <= 9)).to.deep.equal([true, true]);
    const refused = await llm.generate(PROMPT, { schema: { type: 'object' } as never }).catch(String);
    expect(refused).to.match(/REQUEST_INVALID: schema must be a schema of zod 4; .* guide: \{ jsonSchema \}/);
    const date = await llm.generate(PROMPT, { schema: z.date() }).catch(String);
    expect(date).to.match(/GUIDE_UNSUPPORTED: the schema: .*Date cannot be represented/);
    const cut = await llm.generate(PROMPT, { ...options, stop: ['"'] }).catch(String);
    expect(cut).to.match(/REQUEST_INVALID: stop must be absent beside a schema/);
  });

  it('end where their form does, whatever else would have them go on', async () => {
    const more = { maxTokens: 20, minTokens: 10, ignoreEos: true };
    const { text, finishReason } = await llm.generate(PROMPT, { guide: { choice: ['A'] }, ...more });
    expect([text, finishReason]).to.deep.equal(['A', 'stop']);
  });

  it('follow what the model writes first, where the guide begins after it', async () => {
    const guide = { choice: ['foo', 'bar'], after: '</think>' };
    for (const seed of [1, 2, 3]) {
      const { text } = await llm.generate(PROMPT, { guide, maxTokens: 60, temperature: 1, seed });
      expect(text).to.match(/^(?:(?!<\/think>)[\s\S])+<\/think>[\n ]{0,2}(?:foo|bar)$/);
    }
    const { text } = await llm.generate(PROMPT, { guide: { ...guide, after: '.' }, maxTokens: 60 });
    expect(text).to.match(/^[^.]*\.[\n ]{0,2}(?:foo|bar)$/);
    const refused = await llm.generate(PROMPT, { guide: { ...guide, after: '--' } }).catch(String);
    expect(refused).to.match(/GUIDE_INVALID.*after/);
  });

  it('are values of a schema, also of a model that never saw JSON', async () => {
    for (const seed of [1, 2, 3]) {
      const value = await llm.generate(PROMPT, { schema: person, maxTokens: 120, temperature: 1, seed });
      expect(value.name).to.be.a('string');
      expect(value.age).to.be.within(0, 99);
      expect(value.likes).to.be.an('array');
    }
  });

  it('are whole however soon the tokens run out', async () => {
    const guide = { jsonSchema: z.toJSONSchema(person) };
    // Forty bytes are enough: {"name":"","age":0,"likes":[]}
    for (const maxTokens of [30, 34, 40, 60]) {
      const options = { guide, maxTokens, temperature: 1.5, n: 6, seed: maxTokens };
      const { outputs } = await llm.generate(PROMPT, options);
      for (const { text, tokens } of outputs) {
        expect(tokens.length).to.be.at.most(maxTokens);
        expect(person.safeParse(JSON.parse(text)).success, text).to.equal(true);
      }
    }
    await failure('GUIDE_NO_ROOM', () => llm.generate(PROMPT, { guide, maxTokens: 10 }));
  });

  it('follow expressions, choices and grammars, in any company', async () => {
    const options = { maxTokens: 40, temperature: 1, seed: 4 };
    const date = { regex: '\\d{4}-\\d{2}-\\d{2}' };
    const animal = { choice: ['a cat', 'a dog', 'a frog'] };
    const sum = { grammar: 'root ::= root "+" [0-9] | [0-9]' };
    const run = () =>
      Promise.all([
        llm.generate(PROMPT, { ...options, guide: date }),
        llm.generate(PROMPT, { ...options, guide: animal }),
        llm.generate(PROMPT, { ...options, guide: sum }),
        llm.generate(PROMPT, options),
      ]);
    const [dated, chosen, summed, free] = await run();
    expect(dated.text).to.match(/^\d{4}-\d{2}-\d{2}$/);
    expect(animal.choice).to.include(chosen.text);
    expect(summed.text).to.match(/^\d(\+\d)*$/);
    expect(free.text).to.equal((await llm.generate(PROMPT, options)).text);
    expect((await run()).map(({ tokens }) => tokens)).to.deep.equal(
      [dated, chosen, summed, free].map(({ tokens }) => tokens),
    );
  });

  it('end where they are complete, whatever goes on after ends of texts', async () => {
    const { text, finishReason } = await llm.generate(PROMPT, { guide: { regex: 'a cat' }, ignoreEos: true });
    expect([text, finishReason]).to.deep.equal(['a cat', 'stop']);
  });

  it('end a request with what is wrong, and no other', async () => {
    const wrong: readonly (readonly [ErrorCode, Guide])[] = [
      ['GUIDE_UNSUPPORTED', { jsonSchema: { not: {} } }],
      ['GUIDE_INVALID', { regex: '(' }],
      ['GUIDE_INVALID', { grammar: 'root ::= root' }],
      ['GUIDE_INVALID', { regex: 'a', choice: ['a'] }],
    ];
    const free = llm.generate(PROMPT, { maxTokens: 8 });
    for (const [code, guide] of wrong) await failure(code, () => llm.generate(PROMPT, { guide }));
    // A bias makes tokens unlikely; the grammar leaves nothing else.
    const digits = Array.from(
      { length: 10 },
      (_, digit) => llm.text.tokenizer?.tokenToId(String(digit)) ?? 0,
    );
    const logitBias = Object.fromEntries(digits.map((token) => [token, -100]));
    const answer = await llm.generate(PROMPT, { guide: { regex: '[0-9]' }, maxTokens: 2, logitBias });
    expect(answer.text).to.match(/^[0-9]$/);
    const { tokens } = await free;
    expect(tokens).to.have.length(8);
    const [first = 0] = tokens;
    const without = await llm.generate(PROMPT, { maxTokens: 8, suppressTokens: [first] });
    expect(without.tokens).to.have.length(8).and.not.include(first);
    // Of the tokens that end a text none is chosen before its time, as in vLLM and transformers.
    const patient = await llm.generate(PROMPT, { maxTokens: 8, minTokens: 5, stopTokenIds: [first] });
    expect(patient.tokens.slice(0, 5)).to.have.length(5).and.not.include(first);
    expect(patient.tokens.slice(0, 5)).to.deep.equal(without.tokens.slice(0, 5));
  });

  it('keep lately asked for grammars, and forget others', async () => {
    for (let i = 0; i < 40; i++) {
      const { text } = await llm.generate(PROMPT, { guide: { choice: [`number ${i}`] }, maxTokens: 20 });
      expect(text).to.equal(`number ${i}`);
    }
  });
});
