import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkModel } from '../../src/cli/check.js';
import { writeNewModel } from '../../src/cli/new.js';
import { AtbError } from '../../src/errors.js';
import * as api from '../../src/index.js';
import { discoverModels } from '../../src/router/index.js';
import { ORACLE_DIR } from '../oracle/fixtures.js';

const MODELS_DIR = join(import.meta.dirname, '../../src/models');

describe('atb-models new', () => {
  let folder = '';
  const families = readdirSync(MODELS_DIR).filter(
    (name) => name !== 'base' && existsSync(join(MODELS_DIR, name, 'index.js')),
  );
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-new-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const message = async (promise: Promise<unknown>): Promise<string> => {
    const error = await promise.catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(AtbError);
    return (error as AtbError).message;
  };

  it('writes a directory that runs, wherever it lies, with this copy of the package', async () => {
    await writeNewModel({ directory: join(folder, 'mine/foo_1'), like: 'qwen3' });
    const modelPath = join(folder, 'checkpoint');
    cpSync(join(ORACLE_DIR, 'qwen3'), modelPath, { recursive: true });
    const file = join(modelPath, 'config.json');
    const config = { ...JSON.parse(readFileSync(file, 'utf8')), model_type: 'foo_1' };
    writeFileSync(file, JSON.stringify(config));
    const modelDirs = [join(folder, 'mine')];
    expect(await checkModel({ modelPath, modelDirs })).to.deep.equal([]);
    const prompts = [Int32Array.of(1, 2, 3)];
    const answers = async (path: string) => {
      const runner = await api.PARunner.load({
        modelPath: path,
        modelDirs,
        loadTokenizer: false,
        threads: 1,
      });
      const result = await runner.infer({ kind: 'tokens', prompts });
      await runner.dispose();
      return result.answers.map(({ tokens }) => tokens);
    };
    expect(await answers(modelPath)).to.deep.equal(await answers(join(ORACLE_DIR, 'qwen3')));
  });

  it('can begin as any family, whose class is one that users import', async () => {
    for (const like of families) {
      const file = await writeNewModel({ directory: join(folder, `like_${like.replace(/\W/g, '_')}`), like });
      const [, modelClass = ''] = /extends (Flash\w+)/.exec(readFileSync(file, 'utf8')) ?? [];
      expect(api, like).to.have.property(modelClass);
    }
  });

  it('refuses names that are taken or no names, and writes over nothing', async () => {
    const make = (name: string, like = 'llama') => writeNewModel({ directory: join(folder, name), like });
    expect(await message(make('llama'))).to.match(/the name of a model_type that is not known yet/);
    expect(await message(make('My-Model'))).to.match(/small letters, digits and _/);
    expect(await message(make('bar', 'lama'))).to.match(/no router for model_type "lama"; nearest: llama/);
    await make('bar', 'code_llama');
    expect(await message(make('bar'))).to.match(/has no index.mjs yet/);
    expect(await message(make('bar/index.mjs/foo'))).to.match(/^OUTPUT_UNWRITABLE: DIRECTORY/);
  });

  it('names the line of a syntax error, and what TypeScript needs', async () => {
    const write = (name: string, text: string) => {
      const directory = join(folder, name);
      mkdirSync(join(directory, 'model'), { recursive: true });
      return { directory, write: (file: string) => writeFileSync(join(directory, 'model', file), text) };
    };
    const broken = write('broken', 'const a = 1;\nimport { x from "y";\n');
    broken.write('index.mjs');
    expect(await message(discoverModels(broken.directory))).to.match(
      /index\.mjs: cannot be imported: .*line 2/,
    );
    const typed = write('typed', 'const a: number = 1;\n');
    typed.write('index.ts');
    const expected =
      'typescript' in process.features && process.features.typescript
        ? /registers no router; call registerModel/
        : /does not read TypeScript; use Node 22\.18 or newer, or compile it/;
    expect(await message(discoverModels(typed.directory))).to.match(expected);
  });
});
