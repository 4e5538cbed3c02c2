import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryFolder } from '../weights/safetensors-writer.js';
import { runAtbModels } from './in-process.js';

const ROOT = join(import.meta.dirname, '../../..');
const MODEL = join(ROOT, 'examples/models/tiny-stories');
const PROMPT = 'Once upon a time';

const generate = (args: readonly string[], input: string | Buffer = '') =>
  runAtbModels(
    [
      'generate',
      ...['--model_path', MODEL, '--threads', '2'],
      ...(args.includes('--max_tokens') ? [] : ['--max_tokens', '10']),
      ...args,
    ],
    input,
  );

interface Answer {
  readonly index: number;
  readonly prompt: string;
  readonly text: string;
  readonly tokens: readonly number[];
  readonly finishReason: string;
  readonly seed?: number;
}

async function answers(args: readonly string[], input = ''): Promise<Answer[]> {
  const { status, stdout, stderr } = await generate(['--json', ...args], input);
  expect(status, stderr).to.equal(0);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Answer);
}

describe('atb-models generate', function () {
  this.timeout(120_000);
  const path = temporaryFolder();

  it('goes on with one text, an argument or standard input, and prints nothing else', async () => {
    const { status, stdout, stderr } = await generate([PROMPT]);
    expect(status, stderr).to.equal(0);
    expect(stdout).to.match(/^[\w ,."'!?-]{20,}\n$/);
    const [answer] = await answers([], `${PROMPT}\n`);
    expect(`${answer?.text}\n`).to.equal(stdout);
    expect(answer).to.include({ index: 0, prompt: PROMPT, finishReason: 'length' });
    expect(answer?.tokens).to.have.length(10);
  });

  it('takes what stands behind -- as prompts, whatever it begins with', async () => {
    const found = await answers([PROMPT, '--', '--help', '-5 degrees', '--', '--json']);
    expect(found.map(({ prompt }) => prompt)).to.deep.equal([PROMPT, '--help', '-5 degrees', '--', '--json']);
    const chosen = await answers(['--choice', 'A', 'B', '--', PROMPT]);
    expect(chosen.map(({ prompt }) => prompt)).to.deep.equal([PROMPT]);
  });

  it('reads standard input and files as UTF-8, and nothing else as if it were', async () => {
    const [answer] = await answers([], `\uFEFF${PROMPT}\r\n`);
    expect(answer?.prompt).to.equal(PROMPT);
    const latin = Buffer.from('caf\u00e9', 'latin1');
    const wide = Buffer.from(`\uFEFF${PROMPT}`, 'utf16le');
    for (const [bytes, found] of [
      [latin, 'bytes that are none'],
      [wide, 'UTF-16'],
    ] as const) {
      const { status, stderr } = await generate([], bytes);
      expect([status, stderr].join(' ')).to.contain(
        `1 REQUEST_INVALID: standard input must be text in UTF-8`,
      );
      expect(stderr).to.contain(`found "${found}"`);
      writeFileSync(path('grammar'), bytes);
      const asked = await generate([PROMPT, '--grammar', path('grammar')]);
      expect([asked.status, asked.stderr].join(' ')).to.contain(
        '1 REQUEST_INVALID: --grammar must be text in UTF-8',
      );
    }
    writeFileSync(path('schema.json'), '\uFEFF{"const": 7}');
    const [seven] = await answers([PROMPT, '--json_schema', path('schema.json')]);
    expect(seven?.text).to.equal('7');
    const { stderr } = await generate([], 'a'.repeat(5 << 20));
    expect(stderr).to.contain('a text must be a string of up to 4194304 characters');
  });

  it('gives n answers to each prompt, in their order, each with its own seed', async () => {
    const prompts = [PROMPT, 'The dog'];
    const found = await answers([...prompts, '--n', '2', '--temperature', '1.2', '--seed', '7']);
    expect(found.map(({ prompt, seed }) => [prompt, seed])).to.deep.equal([
      [PROMPT, 7],
      [PROMPT, 8],
      ['The dog', 9],
      ['The dog', 10],
    ]);
    const [alone] = await answers([PROMPT, '--temperature', '1.2', '--seed', '8']);
    expect(alone?.text).to.equal(found[1]?.text);
    const { stdout, stderr } = await generate([...prompts, '--n', '2', '--temperature', '0']);
    expect(stderr).to.contain('all 2 answers to a prompt are the same');
    const [first, second] = ['Once upon a time\\n.+\\n', 'The dog\\n.+\\n'];
    expect(stdout).to.match(
      new RegExp(`^\\[0\\] ${first}\\n\\[1\\] ${first}\\n\\[2\\] ${second}\\n\\[3\\] ${second}$`),
    );
  });

  it('keeps to a schema, an expression, a choice or a grammar', async () => {
    const schema = path('schema.json');
    writeFileSync(
      schema,
      JSON.stringify({ type: 'object', properties: { age: { type: 'integer' } }, required: ['age'] }),
    );
    for (const given of [
      schema,
      '{"type":"object","properties":{"age":{"type":"integer"}},"required":["age"]}',
    ]) {
      const [answer] = await answers(['Tom is', '--json_schema', given, '--max_tokens', '40']);
      expect((JSON.parse(answer?.text ?? '') as { age: number }).age).to.be.a('number');
    }
    expect((await answers(['Tom is', '--regex', '[0-9]{3}']))[0]?.text).to.match(/^\d{3}$/);
    expect((await answers(['Tom is', '--choice', 'happy', 'sad']))[0]?.text).to.be.oneOf(['happy', 'sad']);
    expect((await answers(['Tom is', '--grammar', 'root ::= "a"+ "b"']))[0]?.text).to.match(/^a+b$/);
  });

  it('refuses two guides, a schema that is no JSON, and a missing prompt', async () => {
    const refused = async (args: readonly string[], expected: RegExp): Promise<void> => {
      const { status, stderr } = await generate(args);
      expect(status).to.equal(1);
      expect(stderr).to.match(expected);
    };
    await refused(
      ['x', '--regex', 'a', '--choice', 'b'],
      /REQUEST_INVALID: --\w+ must be absent beside --\w+/,
    );
    await refused(['x', '--json_schema', '{'], /--json_schema must be valid JSON/);
    await refused(['x', '--regex', '('], /GUIDE_INVALID/);
    await refused([], /the prompt must be an argument, or standard input/);
    await refused(['x', '--n', '0'], /--n must be an integer >= 1/);
  });

  it('sends a prompt through the chat template where it is asked to', async () => {
    const template = "{{ bos_token }}{% for m in messages %}{{ m['content'] }}{% endfor %}";
    const [plain] = await answers([PROMPT]);
    const [said] = await answers([PROMPT, '--is_chat_model', '--chat_template', template]);
    expect(said?.text).to.equal(plain?.text);
  });
});
