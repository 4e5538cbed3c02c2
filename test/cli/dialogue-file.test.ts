import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readDialogueFile } from '../../src/cli/dialogue-file.js';

describe('a file of dialogues', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'dialogues-'));
  });
  afterEach(() => rm(dir, { recursive: true }));

  async function read(text: string): Promise<unknown> {
    const file = join(dir, 'dialogues.jsonl');
    await writeFile(file, text);
    return readDialogueFile(file);
  }

  const hi = [{ role: 'user', content: 'hi' }];

  it('has one dialogue per line, or all in one array, or is one dialogue', async () => {
    const line = JSON.stringify(hi);
    expect(await read(`${line}\n\n${line}\r\n`)).to.deep.equal([hi, hi]);
    expect(await read(JSON.stringify([hi, hi], null, 1))).to.deep.equal([hi, hi]);
    expect(await read(JSON.stringify(hi, null, 1))).to.deep.equal([hi]);
  });

  it('may begin with a byte order mark', async () => {
    expect(await read(`\uFEFF${JSON.stringify(hi)}\n`)).to.deep.equal([hi]);
  });

  it('may have content in parts, null, or none', async () => {
    const dialogue = [
      { role: 'user', content: [{ type: 'text', text: 'hi' }] },
      { role: 'assistant', content: null, tool_calls: [] },
      { role: 'tool' },
    ];
    expect(await read(JSON.stringify(dialogue))).to.deep.equal([dialogue]);
  });

  it('is refused when it is empty, or by the line that is no dialogue', async () => {
    const cases: Array<[string, RegExp]> = [
      ['', /--input_file must be a file with at least one dialogue/],
      ['\n', /at least one dialogue/],
      ['[]', /at least one dialogue/],
      [`${JSON.stringify(hi)}\n{`, /valid JSON in line 2/],
      [`${JSON.stringify(hi)}\n[{"content":"x"}]`, /list of \{"role","content"\} in line 2/],
      ['[{"role":"user","content":7}]', /each a list of/],
    ];
    for (const [text, expected] of cases) {
      const outcome = await read(text).catch((error: unknown) => String(error));
      expect(outcome, text).to.match(expected);
    }
  });
});
