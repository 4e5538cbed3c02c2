import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { expect } from 'chai';

const ROOT = join(import.meta.dirname, '../..');

/** The floors of the house: a folder imports only from floors below its own. */
const FLOORS: readonly (readonly string[])[] = [
  [
    'errors.ts',
    'describe-value.ts',
    'is-object.ts',
    'weight-messages.ts',
    'nearest-name.ts',
    'require-argument.ts',
    'dtype.ts',
    'di.ts',
    'make-folder.ts',
    'bytes.ts',
    'bounded.ts',
  ],
  ['graph'],
  ['native'],
  ['weights'],
  ['tokenizer', 'sampling', 'answers', 'media'],
  ['guided'],
  ['common-op-builders'],
  ['step-inputs'],
  ['layers'],
  ['router'],
  ['models'],
  ['kv-cache'],
  ['scheduler'],
  ['runner'],
  ['npu-export', 'hub'],
  ['engine'],
  ['server'],
  ['cli'],
  ['index.ts'],
];

/** Within layers/: what all of them know, and what stands on it. */
const LAYER_FLOORS: readonly (readonly string[])[] = [
  ['', 'config'],
  ['formulas'],
  ['linear'],
  ['norms'],
  ['decoder'],
  ['mlp', 'heads'],
  ['attention', 'recurrent'],
  ['experts', 'streams'],
];

/** The same in C++. */
const NATIVE_FLOORS: readonly (readonly string[])[] = [
  ['base'],
  ['tensor'],
  ['kernels'],
  ['ops'],
  ['weights', 'cache'],
  ['guided'],
  ['sampling'],
  ['graph'],
  ['engine'],
  ['addon'],
];

const floorOf = (floors: readonly (readonly string[])[], folder: string): number =>
  floors.findIndex((floor) => floor.includes(folder));

interface Source {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

function sources(folder: string, pattern: RegExp): Source[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((path) => posix.join(folder, path.replaceAll('\\', '/')))
    .filter((path) => pattern.test(path) && !path.includes('node_modules'))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

const TS = sources('src', /\.ts$/);
const CPP = sources('native/src', /\.(h|cpp)$/);

/** Imports of files of our own, as paths below `src`. */
const importsOf = ({ path, text }: Source): string[] =>
  [...text.matchAll(/(?:from|import|import\()\s*'(\.[^']+)'/g)].map(([, target = '']) =>
    posix.relative('src', posix.join(posix.dirname(path), target)).replace(/\.js$/, '.ts'),
  );

/** Code without comments and without what strings say. */
const codeOf = ({ text }: Source): string =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''")
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""')
    .replace(/`[^`$]*`/g, '``');

/** "path: what" of each file that has it. */
const offenders = (files: readonly Source[], found: (file: Source) => boolean): string[] =>
  files.filter(found).map(({ path }) => path);

describe('the house', () => {
  it('has a floor for every folder', () => {
    const folders = new Set(TS.map(({ path }) => path.split('/')[1] ?? ''));
    expect([...folders].filter((folder) => floorOf(FLOORS, folder) < 0)).to.deep.equal([]);
    const native = new Set(CPP.map(({ path }) => path.split('/')[2] ?? ''));
    expect([...native].filter((folder) => floorOf(NATIVE_FLOORS, folder) < 0)).to.deep.equal([]);
  });

  it('imports only from below', () => {
    const upward = TS.flatMap((file) => {
      const folder = file.path.split('/')[1] ?? '';
      return importsOf(file)
        .map((target) => ({ target, from: target.split('/')[0] ?? '' }))
        .filter(({ from }) => {
          const floor = floorOf(FLOORS, from);
          // Files of floor 0 stand beside one another; elsewhere a folder imports from itself.
          const beside = from === folder || (floor === 0 && floorOf(FLOORS, folder) === 0);
          return !beside && (floor < 0 || floor >= floorOf(FLOORS, folder));
        })
        .map(({ target }) => `${file.path} imports ${target}`);
    });
    expect(upward).to.deep.equal([]);
  });

  it('lets layers of a kind stand on those of all kinds', () => {
    const folderOf = (path: string): string => (path.split('/').length > 2 ? (path.split('/')[1] ?? '') : '');
    const layers = TS.filter(({ path }) => /^src\/layers\/(?!index)/.test(path));
    const upward = layers.flatMap((file) => {
      const folder = folderOf(posix.relative('src', file.path));
      const floor = floorOf(LAYER_FLOORS, folder);
      expect(floor, file.path).to.be.at.least(0);
      return importsOf(file)
        .filter((target) => target.startsWith('layers/') && folderOf(target) !== folder)
        .filter((target) => floorOf(LAYER_FLOORS, folderOf(target)) >= Math.max(floor, 1))
        .map((target) => `${file.path} imports ${target}`);
    });
    expect(upward).to.deep.equal([]);
  });

  it('has no circle of files: nothing that a file imports, types included, leads back to it', () => {
    const left = new Map(TS.map((file) => [posix.relative('src', file.path), new Set(importsOf(file))]));
    // Files that import none of those that are left, or that none of them imports, are on no circle.
    for (let before = 0; before !== left.size; ) {
      before = left.size;
      const imported = new Set([...left.values()].flatMap((targets) => [...targets]));
      for (const [path, targets] of left)
        if (!imported.has(path) || ![...targets].some((target) => left.has(target))) left.delete(path);
    }
    expect([...left.keys()]).to.deep.equal([]);
  });

  it('includes only from below in C++', () => {
    const upward = CPP.flatMap(({ path, text }) => {
      const folder = path.split('/')[2] ?? '';
      return [...text.matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)]
        .map(([, target = '']) => target)
        .filter((target) => {
          const floor = floorOf(NATIVE_FLOORS, target.split('/')[0] ?? '');
          const beside = target.split('/')[0] === folder || !target.includes('/');
          return !beside && (floor < 0 || floor >= floorOf(NATIVE_FLOORS, folder));
        })
        .map((target) => `${path} includes ${target}`);
    });
    expect(upward).to.deep.equal([]);
  });

  it('keeps Node out of the engine: only the addon includes napi.h', () => {
    const napi = offenders(CPP, ({ text }) => /#\s*include\s*[<"]napi\.h/.test(text));
    expect(napi.filter((path) => !path.startsWith('native/src/addon/'))).to.deep.equal([]);
  });

  it("lets a family import another family's index only, and base/ freely", () => {
    const inner = TS.filter(({ path }) => path.startsWith('src/models/')).flatMap((file) => {
      const family = file.path.split('/')[2] ?? '';
      return importsOf(file)
        .filter((target) => target.startsWith('models/'))
        .filter((target) => {
          const [, other = '', name] = target.split('/');
          return other !== family && other !== 'base' && name !== 'index.ts';
        })
        .map((target) => `${file.path} imports ${target}`);
    });
    expect(inner).to.deep.equal([]);
  });

  it('says no "any"', () => {
    expect(offenders(TS, (file) => /(?<!\.)\bany\b/.test(codeOf(file)))).to.deep.equal([]);
  });

  it('reads process.env in cli/ only', () => {
    const found = offenders(TS, (file) => /\bprocess\s*(\.\s*env\b|\[)/.test(codeOf(file)));
    expect(found.filter((path) => !path.startsWith('src/cli/'))).to.deep.equal([]);
  });

  it('uses console in cli/ and server/ only', () => {
    const found = offenders(TS, (file) => /\bconsole\s*\./.test(codeOf(file)));
    expect(found.filter((path) => !/^src\/(cli|server)\//.test(path))).to.deep.equal([]);
  });

  it('imports tsyringe through di.ts, and opens .node files in native/', () => {
    const container = offenders(TS, ({ text }) => /from 'tsyringe'|'reflect-metadata'/.test(text));
    expect(container).to.deep.equal(['src/di.ts']);
    const addon = offenders(TS, (file) => /\.node['"`]/.test(file.text));
    expect(addon.filter((path) => !path.startsWith('src/native/'))).to.deep.equal([]);
  });

  it('prints graphs for people only: nothing that makes or changes one imports a printer', () => {
    const found = TS.filter(({ path }) => /^src\/graph\/(?!printers\/)/.test(path)).filter((file) =>
      importsOf(file).some((target) => target.startsWith('graph/printers/')),
    );
    expect(found.map(({ path }) => path)).to.deep.equal([]);
  });

  it('keeps files small', () => {
    const limit = ({ path }: Source): number => {
      if (path.endsWith('.ts')) return 300;
      return path.startsWith('native/src/kernels/') ? 300 : 500;
    };
    const large = [...TS, ...CPP]
      .map((file) => ({ path: file.path, lines: file.text.split('\n').length - 1, limit: limit(file) }))
      .filter(({ lines, limit }) => lines > limit);
    expect(large).to.deep.equal([]);
  });

  it('has a recipe for every operation, without which the fuzzer of graphs does not start', () => {
    const table = CPP.find(({ path }) => path === 'native/src/ops/op_table.cpp')?.text ?? '';
    const types = [...table.matchAll(/\{"(\w+)", Create\w+\}/g)].map(([, type = '']) => type);
    const recipes = sources('native/fuzz/recipes', /\.cpp$/).flatMap(({ text }) =>
      [...text.matchAll(/(?:\{|\[)"(\w+)"[,\]]/g)].map(([, type]) => type),
    );
    expect(types.length).to.be.above(40);
    expect(types.filter((type) => !recipes.includes(type))).to.deep.equal([]);
  });

  it('names no folder and no file for having no better name', () => {
    const vague = /(^|[/_-])(utils?|helpers?|misc|common)([/._-]|$)/;
    const found = offenders([...TS, ...CPP], ({ path }) =>
      vague.test(path.replace('src/common-op-builders/', '')),
    );
    expect(found).to.deep.equal([]);
  });

  it('fits Qwen3 into 100 lines', () => {
    const files = TS.filter(({ path }) => path.startsWith('src/models/qwen3/'));
    const lines = files.reduce((sum, { text }) => sum + text.split('\n').length - 1, 0);
    expect(lines).to.be.within(1, 99);
  });

  it('keeps families of text small: the median 60 lines beside imports and blank ones, none over 150', () => {
    const seeing = ['vision-tower.ts', 'processor.ts'];
    const sees = (family: string) =>
      seeing.some((file) => TS.some(({ path }) => path === `src/models/${family}/${file}`));
    const lines = new Map<string, number>();
    for (const { path, text } of TS) {
      const [, family] = /^src\/models\/(\w+)\/./.exec(path) ?? [];
      if (family === undefined || family === 'base' || sees(family)) continue;
      const own = text.replace(/^import[^;]*;$/gm, '').split('\n');
      lines.set(family, (lines.get(family) ?? 0) + own.filter((line) => line.trim() !== '').length);
    }
    const sorted = [...lines.values()].sort((a, b) => a - b);
    expect(sorted[Math.floor(sorted.length / 2)]).to.be.at.most(60);
    expect([...lines].filter(([, count]) => count > 150)).to.deep.equal([]);
  });
});
