import { escapeInvisible } from '../describe-value.js';
import { AtbError } from '../errors.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { isExtension } from '../graph/legality.js';
import { problemText } from '../graph/legality-problem.js';
import { specProblems } from '../graph/nested-legality.js';
import { inputDescs } from '../models/base/input-descs.js';
import { getModel } from '../models/get-model.js';
import type { CausalLM } from '../router/index.js';
import { modelOf, type OpenModelOptions, planModel } from '../runner/open-model.js';
import { unreadWeights } from '../runner/unread-weights.js';
import { Checkpoint } from '../weights/checkpoint.js';
import { notFiniteTensors } from '../weights/not-finite.js';
import { declaredWeights } from '../weights/weights.js';
import type { Command } from './command.js';
import { declareFlags, optionsOf } from './command-line.js';
import { withModelFolder } from './model-folder.js';

/** Something about a model that its author should know. */
export interface Finding {
  readonly level: 'error' | 'warning';
  /** What was looked at: `config`, `weights`, `graph prefill`, `legality decode`. */
  readonly subject: string;
  readonly text: string;
  /** The author's own line that it comes from, where there is one: `my-models/foo/index.mjs:24`. */
  readonly where?: string;
}

export interface CheckOptions extends OpenModelOptions {
  /** Read every float of the files, and name the tensors with NaN or infinities. */
  readonly finite?: boolean | undefined;
}

/** ATB takes no f32: what runs in f32 here would run in this there. */
const LEGAL_DTYPE = 'bf16';

/** Sizes of the step for which graphs are checked: more than one sequence, block and mask. */
const STEP = { batch: 2, tokens: 300 } as const;

/**
 * Looks at a model as far as that goes without running it: its configuration, what it reads of its checkpoint, its graphs
 * of each kind, and whether ATB would take them. Throws ROUTER_* when there is no model to look at.
 */
export async function checkModel(options: CheckOptions): Promise<Finding[]> {
  const router = await getModel(options.modelPath, options);
  const found = new Findings();
  const plan = found.attempt('config', () => planModel(router, { ...options, dtype: LEGAL_DTYPE }));
  if (!plan) return found.list;
  const onWarning = (text: string) => found.add('warning', 'weights', text);
  const checkpoint = await found.attemptAsync('weights', () =>
    Checkpoint.open(options.modelPath, { ...options, config: router.configDict, onWarning }),
  );
  if (checkpoint && options.finite) {
    const notFinite = await found.attemptAsync('weights', () => notFiniteTensors(checkpoint.tensors));
    for (const { name, count } of notFinite ?? [])
      found.add('error', 'weights', `${name} holds NaN or infinity: ${count} of its numbers`);
  }
  const made = await found.attemptAsync('weights', async () =>
    checkpoint
      ? await modelOf(plan, checkpoint, { onWarning, use: options.use })
      : { model: router.createModel(declaredWeights(plan.dtype), plan.config, options.use), spare: [] },
  );
  if (!made) return found.list;
  const { model, spare } = made;
  for (const { key, value } of plan.config.unreadKeys ?? [])
    found.add('warning', 'config', `${key} (${value}) is read by nobody`);
  if (checkpoint)
    reportUnread(
      found,
      [...router.harmlessTensors, ...spare],
      checkpoint,
      model,
      options.allowUnread ?? false,
    );
  for (const kind of model.graphKinds ?? []) checkGraph(found, model, kind);
  return found.list;
}

function reportUnread(
  found: Findings,
  harmless: readonly RegExp[],
  checkpoint: Checkpoint,
  model: CausalLM,
  isAllowed: boolean,
): void {
  const unread = found.attempt('weights', () => unreadWeights(checkpoint, model.getWeights(), harmless));
  const level = isAllowed ? 'warning' : 'error';
  for (const name of unread?.errors ?? [])
    found.add(level, 'weights', `${name} is not read, although it belongs to a module or layer that is`);
  for (const name of unread?.warnings ?? [])
    found.add('warning', 'weights', `${name} is not read, nor anything else of its module`);
}

/** Tokens of a block: ATB takes several queries of a sequence only where a block has 16384 numbers of a head at most. */
const blockSizeOf = (model: CausalLM): number =>
  model.caches().some(({ keySize }) => keySize > 128) ? 64 : 128;

function checkGraph(found: Findings, model: CausalLM, kind: GraphKind): void {
  const spec = found.attempt(`graph ${kind.name}`, () => model.buildGraph(kind));
  if (!spec) return;
  const step = { ...STEP, blockSize: blockSizeOf(model) };
  const subject = `legality ${kind.name}`;
  const problems = found.attempt(subject, () =>
    specProblems(spec, inputDescs(model, kind, LEGAL_DTYPE, step)),
  );
  for (const problem of problems ?? []) {
    // What ATB cannot say runs here all the same.
    found.add(isExtension(problem) ? 'warning' : 'error', subject, problemText(problem));
  }
}

class Findings {
  readonly list: Finding[] = [];

  add(level: Finding['level'], subject: string, text: string, where?: string): void {
    const known = this.list.some((other) => other.subject === subject && other.text === text);
    if (!known) this.list.push({ level, subject, text, ...(where !== undefined && { where }) });
  }

  /** Runs a step; what it throws becomes a finding. */
  attempt<T>(subject: string, step: () => T): T | undefined {
    try {
      return step();
    } catch (error) {
      this.#thrown(subject, error);
      return undefined;
    }
  }

  async attemptAsync<T>(subject: string, step: () => Promise<T>): Promise<T | undefined> {
    try {
      return await step();
    } catch (error) {
      this.#thrown(subject, error);
      return undefined;
    }
  }

  #thrown(subject: string, error: unknown): void {
    const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
    const own = !(error instanceof AtbError) || !error.code.startsWith('CONFIG_');
    this.add('error', subject, message, own ? authorLine(stack) : undefined);
  }
}

/** The first line of a stack that is neither this package's nor Node's: the author's own. */
export function authorLine(stack: string): string | undefined {
  const home = new URL('../../', import.meta.url).href;
  for (const line of stack.split('\n').slice(1)) {
    const [, place, at] = /\(?(file:\/\/[^)]+?):(\d+):\d+\)?$/.exec(line) ?? [];
    if (place !== undefined && !place.startsWith(home)) return `${new URL(place).pathname}:${at}`;
  }
  return undefined;
}

/** Findings for a terminal, errors first, and a closing line. */
export function findingsText(found: readonly Finding[]): string {
  const errors = found.filter(({ level }) => level === 'error');
  const warnings = found.filter(({ level }) => level === 'warning');
  const lines = [...errors, ...warnings].map(
    ({ level, subject, text, where }) =>
      `${level}: ${subject}: ${escapeInvisible(text)}${where ? `\n  at ${where}` : ''}\n`,
  );
  return `${lines.join('')}${count(errors.length, 'error')}, ${count(warnings.length, 'warning')}\n`;
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;

const FLAGS = [
  'model_path',
  'model_dirs',
  'allow_unread',
  'allow_links',
  'dtype',
  'quantize',
  'finite',
  'json',
] as const;

/** `atb-models check`: what is wrong with a model before it runs. Ends with 1 when something is. */
export const checkCommand: Command = {
  builder: (argv) =>
    declareFlags(argv, {
      command: 'atb-models check',
      example: '--model_path DIR --model_dirs my-models',
      flags: FLAGS,
    }),
  async handler(argv) {
    const { json, ...options } = await withModelFolder(optionsOf(argv, FLAGS));
    const found = await checkModel(options);
    process.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : findingsText(found));
    if (found.some(({ level }) => level === 'error')) process.exitCode = 1;
  },
};
