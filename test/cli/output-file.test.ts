import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { OutputFile } from '../../src/cli/output-file.js';
import { failure } from '../weights/safetensors-writer.js';

describe('a file that a command writes', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-output-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const output = (path: string) => new OutputFile('--output', path);

  it('replaces one under its own name and mode, and leaves nothing beside it', () => {
    const path = join(folder, 'trace.json');
    output(path).write('first');
    writeFileSync(path, 'old', { mode: 0o600 });
    const { mode } = statSync(path);
    output(path).write('second');
    expect(readFileSync(path, 'utf8')).to.equal('second');
    expect(statSync(path).mode).to.equal(mode);
    expect(readdirSync(folder)).to.deep.equal(['trace.json']);
  });

  it('replaces what a link points to, not the link', () => {
    writeFileSync(join(folder, 'target'), 'old');
    symlinkSync('target', join(folder, 'link'));
    output(join(folder, 'link')).write('new');
    expect(readFileSync(join(folder, 'target'), 'utf8')).to.equal('new');
    expect(lstatSync(join(folder, 'link')).isSymbolicLink()).to.equal(true);
  });

  it('is written to where it is a device, and appended to elsewhere', () => {
    output('/dev/null').write('text');
    expect(statSync('/dev/null').isCharacterDevice()).to.equal(true);
    const rows = output(join(folder, 'rows.csv'));
    rows.append('1\n');
    rows.append('2\n');
    expect(readFileSync(rows.path, 'utf8')).to.equal('1\n2\n');
  });

  it('says that the disk is full', async () => {
    for (const write of [() => output('/dev/full').write('text'), () => output('/dev/full').append('text')]) {
      const error = await failure('OUTPUT_UNWRITABLE', write);
      expect(error.message)
        .to.include('/dev/full')
        .and.match(/ENOSPC/);
    }
  });
});
