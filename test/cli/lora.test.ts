import { join } from 'node:path';
import { expect } from 'chai';
import { parseRunPaArguments } from '../../src/cli/run-pa.js';
import { LLM } from '../../src/engine/llm.js';
import { PARunner } from '../../src/engine/pa-runner.js';
import { writeTinyAdapter } from '../engine/tiny-adapter.js';
import { temporaryFolder } from '../weights/safetensors-writer.js';
import { runAtbModels } from './in-process.js';

const MODEL = join(import.meta.dirname, '../../../examples/models/tiny-stories');
const PROMPT = 'Once upon a time';

describe('LoRA adapters on the command line', function () {
  this.timeout(60_000);
  const path = temporaryFolder();
  const modules = () => JSON.stringify({ pirate: writeTinyAdapter(path('pirate')) });
  const parse = (...args: string[]) =>
    parseRunPaArguments(['node', 'run-pa', '--model_path', MODEL, ...args]);
  const refusal = (...args: string[]) => parse(...args).catch(String);

  async function told(adapter: string | undefined): Promise<string> {
    await using llm = await LLM.load(MODEL, { loraModules: JSON.parse(modules()) });
    return (await llm.generate(PROMPT, { maxTokens: 12, temperature: 0, adapter })).text;
  }

  it("of `run-pa` are named by the original's input_dict, prompt by prompt", async () => {
    const dict = ['pirate', 'base', undefined].map((adapter) => ({ prompt: PROMPT, adapter }));
    const parsed = await parse('--lora_modules', modules(), '--input_dict', JSON.stringify(dict));
    if (typeof parsed === 'string') throw new Error(parsed);
    const runner = await PARunner.load({ ...parsed.runner, maxOutputLength: 12 });
    const { answers } = await runner.infer(parsed.inputs);
    await runner.dispose();
    const [pirate, base] = [await told('pirate'), await told(undefined)];
    expect(pirate).to.not.equal(base);
    expect(answers.map(({ text }) => text)).to.deep.equal([pirate, base, base]);
  });

  it('of `generate` are chosen by --adapter', async () => {
    const args = ['generate', PROMPT, '--model_path', MODEL, '--max_tokens', '12', '--temperature', '0'];
    const asked = await runAtbModels([...args, '--lora_modules', modules(), '--adapter', 'pirate']);
    expect([asked.status, asked.stdout]).to.deep.equal([0, `${await told('pirate')}\n`]);
    const other = await runAtbModels([...args, '--lora_modules', modules(), '--adapter', 'poet']);
    expect(other.stderr).to.contain('--adapter must be one of pirate, found "poet"');
    const alone = await runAtbModels([...args, '--adapter', 'poet']);
    expect(alone.stderr).to.contain('--adapter must be used together with --lora_modules');
  });

  it("keep to the original's limits", async () => {
    for (const limit of ['--max_loras', '--max_lora_rank']) {
      await parse('--lora_modules', modules(), limit, '0');
      await parse('--lora_modules', modules(), limit, '4');
      expect(await refusal('--lora_modules', modules(), limit, '-1')).to.contain(
        `${limit} must be an integer >= 0`,
      );
    }
    expect(await refusal('--lora_modules', modules(), '--max_lora_rank', '3')).to.contain(
      '--max_lora_rank must be at least 4, the rank of pirate, or 0, found 3',
    );
    const two = JSON.stringify({ ...JSON.parse(modules()), other: path('pirate') });
    expect(await refusal('--lora_modules', two, '--max_loras', '1')).to.contain(
      '--max_loras must be at least 2',
    );
  });

  it('are refused by what is wrong with what was written', async () => {
    for (const written of ['pirate', '[]', '{"pirate": 3}', '{"pirate": ""}'])
      expect(await refusal('--lora_modules', written)).to.contain('--lora_modules must be a JSON object');
    expect(await refusal('--input_dict', '[{"prompt": "a", "adapter": 3}]')).to.contain(
      '--input_dict must be',
    );
  });
});
