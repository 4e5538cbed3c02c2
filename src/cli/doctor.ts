import { execFile } from 'node:child_process';
import { access, constants, readFile } from 'node:fs/promises';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirOf } from '../hub/hub-options.js';
import { addonCandidates, betterTableText, type KernelTableState, kernelTables } from '../native/index.js';
import { bytesText } from './bytes-text.js';
import type { Command } from './command.js';
import { declareFlags, optionsOf } from './command-line.js';
import { environmentOptions, hubEnvironment } from './environment.js';
import { packageVersion } from './version.js';

/** What decides how fast models run here, and what stands in their way. */
export interface Diagnosis {
  readonly version: string;
  readonly node: string;
  readonly cpu: string;
  /** Cores that this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  /** What new memory and the page cache, which makes second loads fast, may take; undefined where the system does not tell. */
  readonly availableBytes: number | undefined;
  readonly pageCacheBytes: number | undefined;
  readonly swapBytes: number | undefined;
  /** `always`, `madvise` or `never`: large pages make reading weights a tenth faster. */
  readonly hugePages: string | undefined;
  /** The addon's file; undefined when there is none. */
  readonly addon: string | undefined;
  /** Best first. The first that lacks nothing is used. */
  readonly kernels: readonly KernelTableState[];
  /** What would compile the addon: first lines of `--version`; undefined where it is not there. */
  readonly tools: Readonly<Record<string, string | undefined>>;
  readonly cacheDir: string;
  readonly isCacheWritable: boolean;
  /** What is wrong, each with the way out; none when models run as well as they can. */
  readonly problems: readonly string[];
}

const MEMORY_ENOUGH = 2 * 2 ** 30;

/** Looks at this machine. */
export async function diagnose(): Promise<Diagnosis> {
  const { nativePath } = environmentOptions();
  const [addon, memory, hugePages, isCacheWritable, ...versions] = await Promise.all([
    findAddon(nativePath),
    readMemory(),
    readChoice('/sys/kernel/mm/transparent_hugepage/enabled'),
    isWritable(cacheDirOf(hubEnvironment())),
    ...['c++', 'cmake'].map(versionOf),
  ]);
  const [compiler, cmake] = versions;
  let kernels: readonly KernelTableState[] = [];
  const problems: string[] = [];
  try {
    kernels = kernelTables(nativePath);
  } catch (error) {
    problems.push(error instanceof Error ? error.message : String(error));
  }
  const found = {
    version: packageVersion(),
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    ...memory,
    hugePages,
    addon,
    kernels,
    tools: { 'c++': compiler, cmake },
    cacheDir: cacheDirOf(hubEnvironment()),
    isCacheWritable,
  };
  return { ...found, problems: [...problems, ...problemsOf(found)] };
}

function problemsOf(found: Omit<Diagnosis, 'problems'>): string[] {
  const { kernels, hugePages, availableBytes, cacheDir, isCacheWritable } = found;
  const isSlow = usedTable(kernels)?.isa === 'reference';
  const better = betterTableText(kernels);
  return [
    ...(better === undefined ? [] : [better]),
    ...(isSlow ? ['only the reference kernels run on this CPU, which are slow: it lacks AVX2'] : []),
    ...(hugePages === 'never'
      ? ['large pages are off: `echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled`']
      : []),
    ...(availableBytes !== undefined && availableBytes < MEMORY_ENOUGH
      ? [`only ${bytesText(availableBytes)} of memory are free: end other programs before loading a model`]
      : []),
    ...(isCacheWritable
      ? []
      : [`the cache ${cacheDir} cannot be written: set HF_HUB_CACHE to a folder of yours`]),
  ];
}

const usedTable = (kernels: readonly KernelTableState[]): KernelTableState | undefined =>
  kernels.find(({ missing, isBuilt }) => missing.length === 0 && isBuilt);

function stateText(table: KernelTableState, used: KernelTableState | undefined): string {
  if (table.missing.length > 0) return `not here: ${table.missing.join(', ')}`;
  if (!table.isBuilt) return 'left out of this build: `npm run build:native`';
  return table === used ? 'used' : 'possible';
}

async function findAddon(nativePath: string | undefined): Promise<string | undefined> {
  for (const candidate of addonCandidates(nativePath)) if (await isThere(candidate)) return candidate;
  return undefined;
}

/** Linux tells how its memory is used. */
async function readMemory(): Promise<Pick<Diagnosis, 'availableBytes' | 'pageCacheBytes' | 'swapBytes'>> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const bytes = (name: string): number | undefined => {
    const [, kib] = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text) ?? [];
    return kib === undefined ? undefined : Number(kib) * 1024;
  };
  return {
    availableBytes: bytes('MemAvailable'),
    pageCacheBytes: bytes('Cached'),
    swapBytes: bytes('SwapTotal'),
  };
}

/** The choice in brackets: `always [madvise] never`. */
async function readChoice(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return /\[(\w+)\]/.exec(text)?.[1];
}

async function versionOf(tool: string): Promise<string | undefined> {
  const run = promisify(execFile)(tool, ['--version'], { timeout: 5000 }).catch(() => undefined);
  return (await run)?.stdout.split('\n')[0]?.trim();
}

/** A folder that is not there yet can be made where the one above it can be written. */
async function isWritable(folder: string): Promise<boolean> {
  let existing = resolve(folder);
  while (!(await isThere(existing)) && dirname(existing) !== existing) existing = dirname(existing);
  return access(existing, constants.W_OK).then(
    () => true,
    () => false,
  );
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** A diagnosis for a terminal: one line a subject. */
export function diagnosisText(found: Diagnosis): string {
  const optional = (bytes: number | undefined): string =>
    bytes === undefined ? 'unknown' : bytesText(bytes);
  const { kernels, tools, addon, hugePages } = found;
  const used = usedTable(kernels);
  const lines: Array<readonly [subject: string, text: string]> = [
    ['atb-models', `${found.version}, Node ${found.node}`],
    ['CPU', `${found.cpu}, ${found.cores} cores for this process`],
    [
      'memory',
      `${bytesText(found.memoryBytes)}, ${optional(found.availableBytes)} free, page cache ${optional(found.pageCacheBytes)}, swap ${optional(found.swapBytes)}`,
    ],
    ['large pages', hugePages ?? 'unknown'],
    ['addon', addon ?? 'not there'],
    ...kernels.map((table) => [`kernels ${table.isa}`, stateText(table, used)] as const),
    ...Object.entries(tools).map(([tool, version]) => [tool, version ?? 'not there'] as const),
    ['model cache', `${found.cacheDir}${found.isCacheWritable ? '' : ' (cannot be written)'}`],
    ...(found.problems.length === 0 ? [['problems', 'none'] as const] : []),
    ...found.problems.map((problem) => ['problem', problem] as const),
  ];
  return lines.map(([subject, text]) => `${subject.padEnd(18)} ${text}\n`).join('');
}

const FLAGS = ['json'] as const;

/** `atb-models doctor`: what this machine has for models, and why not a better kernel. Ends with 1 when something is wrong. */
export const doctorCommand: Command = {
  builder: (argv) => declareFlags(argv, { command: 'atb-models doctor', example: '--json', flags: FLAGS }),
  async handler(argv) {
    const { json } = optionsOf(argv, FLAGS);
    const found = await diagnose();
    process.stdout.write(json ? `${JSON.stringify(found, undefined, 2)}\n` : diagnosisText(found));
    if (found.problems.length > 0) process.exitCode = 1;
  },
};
