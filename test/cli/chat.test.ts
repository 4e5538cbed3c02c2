import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ChatLoop, type ChatLoopOptions, type Interruption } from '../../src/cli/chat-loop.js';
import { LLM } from '../../src/engine/llm.js';
import { temporaryFolder } from '../weights/safetensors-writer.js';
import { runAtbModels } from './in-process.js';

const ROOT = join(import.meta.dirname, '../../..');
const PROGRAM = join(ROOT, 'scripts/atb-models.mjs');
const MODEL = join(ROOT, 'examples/models/tiny-stories');
const PLAIN = "{% for m in messages %}{{ m['content'] }} {% endfor %}";
const ARGS = ['chat', '--model_path', MODEL, '--chat_template', PLAIN, '--threads', '2'];

const chat = (lines: readonly string[], ...args: string[]) =>
  runAtbModels([...ARGS, '--max_tokens', '8', ...args], lines.map((line) => `${line}\n`).join(''));

describe('atb-models chat', function () {
  this.timeout(120_000);
  const path = temporaryFolder();

  it('answers line by line, keeps what was said, and does what lines with / ask for', async () => {
    const [first, second] = [path('first.json'), path('second.json')];
    const { status, stdout, stderr } = await chat([
      'Once upon a time',
      ` /then`,
      `/save ${first}`,
      '/reset',
      '/system Be brief.',
      'The dog',
      `/save ${second}`,
      '/help',
      '/exit',
      'never said',
    ]);
    expect(status, stderr).to.equal(0);
    expect(stdout).to.contain('/save FILE');
    const saved = (file: string) =>
      JSON.parse(readFileSync(file, 'utf8')) as { role: string; content: string }[];
    expect(saved(first).map(({ role }) => role)).to.deep.equal(['user', 'assistant', 'user', 'assistant']);
    expect(saved(first)[2]?.content).to.equal('/then');
    const [system, said, answer] = saved(second);
    expect([system?.content, said?.content]).to.deep.equal(['Be brief.', 'The dog']);
    expect(stdout).to.contain(`${answer?.content}\n`);
  });

  it('says what is wrong with a line, and goes on', async () => {
    const { status, stdout, stderr } = await chat(['/sistem x', '/save', 'The dog'], '--json');
    expect(status).to.equal(1);
    expect(stderr).to.match(/there is no \/sistem; nearest: \/system; `\/help` lists all/);
    expect(stderr).to.match(/\/save must be followed by the name of a file/);
    const answer = JSON.parse(stdout) as { content: string };
    expect(answer.content).to.match(/\w/);
    expect(answer).to.deep.include({ reasoning: '', isStopped: false });
  });

  it('names generate where a model has no chat template', async () => {
    const folder = path('plain');
    cpSync(MODEL, folder, { recursive: true });
    const file = join(folder, 'tokenizer_config.json');
    const { chat_template: _, ...config } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify(config));
    const { status, stderr } = await runAtbModels(['chat', '--model_path', folder], 'Hello\n');
    expect(status).to.equal(1);
    expect(stderr).to.match(/has no chat template.*atb-models generate.*--chat_template/);
  });

  it('survives Ctrl-C, and ends by two of them', async () => {
    const child = spawn(process.execPath, [PROGRAM, ...ARGS], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.write('Once upon a time\n');
    await nextText(child);
    child.kill('SIGINT');
    child.stdin.write('/help\n');
    let text = '';
    while (!text.includes('/exit')) text += await nextText(child);
    const exit = once(child, 'exit');
    child.kill('SIGINT');
    // Signals that come at once are one; a busy machine may take long to bring the first.
    for (let waitMs = 200; child.exitCode === null; waitMs = 5000) {
      await Promise.race([exit, new Promise((resolve) => setTimeout(resolve, waitMs).unref())]);
      if (child.exitCode === null) child.kill('SIGINT');
    }
    expect(await exit).to.deep.equal([0, null]);
  });
});

async function nextText({ stdout }: ChildProcess): Promise<string> {
  const [text] = (await once(stdout as NonNullable<typeof stdout>, 'data')) as [Buffer];
  return text.toString();
}

describe('a chat', function () {
  this.timeout(60_000);
  const load = (chatTemplate: string) =>
    LLM.load(MODEL, { threads: 2, blockSize: 32, maxNumSeqs: 1, chatTemplate });
  function start(llm: LLM, options: Partial<ChatLoopOptions> = {}) {
    let text = '';
    const loop = new ChatLoop(llm, {
      request: { maxTokens: 200, ignoreEos: true },
      json: false,
      isStyled: false,
      write: (more) => {
        text += more;
        options.write?.(more);
      },
      ...(({ write: _, ...rest }) => rest)(options),
    });
    return { loop, text: () => text };
  }

  it('stops an answer at the first Ctrl-C, and itself at the second', async () => {
    await using llm = await load(PLAIN);
    const asked: Interruption[] = [];
    const { loop, text } = start(llm, {
      json: false,
      write: () => void (asked.length === 0 && asked.push(loop.interrupt())),
    });
    expect(await loop.line('Once upon a time')).to.equal(true);
    expect(asked).to.deep.equal(['stops']);
    expect(text().length).to.be.within(1, 200);
    expect(loop.interrupt()).to.equal('ends');
    await loop.line('/reset');
    expect(loop.interrupt()).to.equal('warns');
  });

  it('shows reasoning dimmed, from where the template begins it', async () => {
    await using llm = await load(`${PLAIN}{% if add_generation_prompt %}<think>\n{% endif %}`);
    const request = { maxTokens: 4 };
    const styled = start(llm, { isStyled: true, request });
    await styled.loop.line('Once upon a time');
    expect(styled.text().startsWith('\u001b[2m')).to.equal(true);
    const json = start(llm, { json: true, request });
    await json.loop.line('Once upon a time');
    const { content, reasoning } = JSON.parse(json.text()) as { content: string; reasoning: string };
    expect(content).to.equal('');
    expect(reasoning).to.match(/\w/);
  });
});
