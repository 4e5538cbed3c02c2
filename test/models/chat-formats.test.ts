import { readFileSync } from 'node:fs';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadModels } from '../../src/models/get-model.js';
import { getRouter } from '../../src/router/index.js';
import { parseGenerationConfig } from '../../src/sampling/generation-config.js';
import type { ChatMessage } from '../../src/tokenizer/chat-template.js';

/** What tools/oracle/make_chat_fixtures.py writes. */
interface ChatCase {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly file: string;
  readonly tokenizerConfig: Readonly<Record<string, unknown>>;
  readonly conversations: readonly {
    readonly messages: readonly ChatMessage[];
    readonly ids: readonly number[];
  }[];
}

const FIXTURES = join(import.meta.dirname, '../../../test/fixtures/text');
const cases: readonly ChatCase[] = JSON.parse(readFileSync(join(FIXTURES, 'chats.json'), 'utf8'));
const GENERATION = parseGenerationConfig({ eos_token_id: 2 }, 'generation_config.json');

describe('the chat format of a family whose checkpoints have no template', () => {
  let dir: string;
  before(() => loadModels());
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'atb-chat-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  async function text({ config, file, tokenizerConfig }: ChatCase) {
    await copyFile(join(FIXTURES, file), join(dir, file.endsWith('.model') ? 'tokenizer.model' : file));
    await writeFile(join(dir, 'tokenizer_config.json'), JSON.stringify(tokenizerConfig));
    const router = new (getRouter(config.model_type))(dir, config);
    const tokenizer = await router.getTokenizer(GENERATION);
    return { router, tokenizer, builder: await router.getInputBuilder(tokenizer, {}) };
  }

  for (const found of cases) {
    it(`gives the ids of its Python code: ${found.name}`, async () => {
      const { builder } = await text(found);
      for (const { messages, ids } of found.conversations) {
        expect(await builder.applyChatTemplateAsync(messages), JSON.stringify(messages)).to.deep.equal(ids);
      }
    });
  }

  const named = (name: string): ChatCase => cases.find((found) => found.name === name) as ChatCase;

  it('ends answers where the code does, beside what generation_config.json says', async () => {
    for (const [name, stops] of [
      ['qwen', ['<|im_end|>', '<|im_start|>']],
      ['chatglm3', ['<|user|>', '<|observation|>']],
      ['internlm2', ['<|im_end|>']],
      ['telechat', ['<_end>']],
      ['chatglm2', []],
    ] as const) {
      const { router, tokenizer } = await text(named(name));
      const ids = stops.map((token) => tokenizer.tokenToId(token));
      expect([...router.getPostprocessor(tokenizer, GENERATION).eosTokenIds], name).to.have.members([
        2,
        ...ids,
      ]);
    }
  });

  it('gives way to a template of the checkpoint', async () => {
    const found = named('chatglm3');
    const tokenizerConfig = { ...found.tokenizerConfig, chat_template: 'own' };
    const { builder } = await text({ ...found, tokenizerConfig });
    expect(builder.renderChatTemplate([{ role: 'user', content: 'x' }])).to.equal('own');
  });

  it('refuses a role that ChatGLM2 does not know', async () => {
    const { builder } = await text(named('chatglm2'));
    expect(() => builder.renderChatTemplate([{ role: 'system', content: 'x' }])).to.throw(
      /ChatGLM2 knows the roles user and assistant, not system/,
    );
  });
});
