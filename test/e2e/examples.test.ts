import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';

const EXAMPLES = join(import.meta.dirname, '../../examples');

function run(example: string, args: readonly string[] = [], input = ''): { stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(EXAMPLES, example), ...args], {
    encoding: 'utf8',
    input,
  });
  expect(status, stderr).to.equal(0);
  return { stdout, stderr };
}

describe('examples', function () {
  this.timeout(60_000);

  it('stream writes a story', () => {
    expect(run('stream.js').stdout).to.match(/^Once upon a time[\s\S]{60,}\n$/);
  });

  it('batch answers each prompt twice, with another seed', () => {
    const lines = run('batch.js').stdout.trimEnd().split('\n');
    expect(lines).to.have.length(6);
    for (const [index, line] of lines.entries()) {
      expect(line.startsWith(['The cat', 'One day, a boy', 'Mom said'][index >> 1] as string)).to.equal(true);
      expect(line).to.match(new RegExp(`\\[(stop|length), seed ${1 + (index % 2)}\\]$`));
    }
  });

  it('structured gets a value of a schema, and a text of an expression', () => {
    const [value, text] = run('structured.js').stdout.trimEnd().split('\n');
    expect(value).to.match(/, ([1-9]|1[0-2]) years old, is (happy|sad|brave)$/);
    expect(text).to.match(/^(Once|One day), [a-z ]{10,30}\.$/);
  });

  it('tools runs the tool that the model called, and tells on', () => {
    const { stdout } = run('tools.js');
    expect(stdout).to.match(/^(look: a .+|count: \d+ .*)\n[\s\S]{20,}\n$/);
  });

  it('chat answers line by line, and computes each turn only what is new', () => {
    const { stdout, stderr } = run('chat.js', [], 'Once upon a time there was a dog.\nAnd then?\nThe end?\n');
    expect(stdout.trimEnd().split('\n').length).to.be.at.least(3);
    expect(stderr).to.match(/^\d+ of \d+ prompt tokens were in the cache\n$/);
  });
});
