import { buffer } from 'node:stream/consumers';
import type { LLMPrompt } from '../engine/encode-prompt.js';
import type { Generation } from '../engine/generation.js';
import type { LLM } from '../engine/llm.js';
import type { StreamOptions } from '../engine/llm-options.js';
import { refuseRequest } from '../errors.js';
import type { Guide } from '../guided/index.js';
import { mergeSampling } from '../sampling/sampling-params.js';
import type { Command } from './command.js';
import { type CommandShape, declareFlags, type OptionsOf, optionsOf } from './command-line.js';
import { ANSWER_FLAGS, LLM_FLAGS, warn, withLlm } from './llm-command.js';
import { pictureOf, contentOf as withPictures } from './pictures.js';
import { readText, textOf } from './read-text.js';
import { isFile, parseJson } from './run-pa-inputs.js';
import { stoppable } from './stop-signals.js';
import { TEMPLATE_FLAGS, templateVariables } from './template-variables.js';

/** Answers that are computed together; more take turns. */
const MAX_NUM_SEQS = 8;

const GUIDE_FLAGS = ['json_schema', 'regex', 'choice', 'grammar'] as const;
const GENERATE_FLAGS = [
  'n',
  'json',
  'logprobs',
  'ignore_eos',
  'is_chat_model',
  'image',
  ...TEMPLATE_FLAGS,
] as const;
const SHAPE: CommandShape = {
  command: 'atb-models generate',
  example: '--model_path DIR "Once upon a time" --max_tokens 100 --temperature 0.8',
  flags: [...LLM_FLAGS, 'chat_template', ...GENERATE_FLAGS, ...GUIDE_FLAGS, ...ANSWER_FLAGS],
  alsoKnown: ['prompts', '--'],
};

/** What the answers must be; undefined: anything. @throws REQUEST_INVALID for two of them, or for a schema that is no JSON */
function guideOf({ jsonSchema, ...rest }: OptionsOf<(typeof GUIDE_FLAGS)[number]>): Guide | undefined {
  const [one, other] = [...(jsonSchema === undefined ? [] : ['json_schema']), ...Object.keys(rest)];
  if (one === undefined) return undefined;
  if (other !== undefined) refuseRequest(`--${other}`, `absent beside --${one}`, 'both');
  if (jsonSchema !== undefined) return { jsonSchema: schemaOf(jsonSchema) };
  return rest.grammar === undefined ? rest : { grammar: contentOf('--grammar', rest.grammar) };
}

function schemaOf(given: string): unknown {
  // What begins like no JSON value of a schema is meant as a file.
  if (!isFile(given) && !/^\s*(\{|true|false)/.test(given))
    refuseRequest('--json_schema', 'an existing file, or JSON', given);
  return parseJson('--json_schema', contentOf('--json_schema', given));
}

/** A text, or that of the file of this name. */
const contentOf = (flag: string, given: string): string => (isFile(given) ? readText(flag, given) : given);

async function promptsOf(given: readonly string[]): Promise<readonly string[]> {
  if (given.length > 0) return given;
  const bytes = process.stdin.isTTY ? Buffer.alloc(0) : await buffer(process.stdin);
  const text = textOf('standard input', bytes).replace(/\r?\n$/, '');
  return text === '' ? refuseRequest('the prompt', 'an argument, or standard input', undefined) : [text];
}

interface Asked extends Omit<StreamOptions, 'guide'> {
  readonly prompts: readonly string[];
  readonly n: number;
  readonly json: boolean;
  readonly isChatModel: boolean;
  /** Files of pictures that every prompt is about. */
  readonly images?: readonly string[] | undefined;
  readonly guide: Guide | undefined;
}

/** Starts all answers; they are printed in the order of the prompts, the first of them as it comes. */
async function answer(
  llm: LLM,
  { prompts, n, json, isChatModel, images, guide, ...request }: Asked,
): Promise<void> {
  const { temperature = 0 } = mergeSampling(llm.text.samplingDefaults, request);
  if (n > 1 && temperature === 0) warn(`all ${n} answers to a prompt are the same, as --temperature is 0`);
  const pictures = (images ?? []).map((file) => pictureOf(file, '--image'));
  const grammar = guide && (await llm.compileGuide(guide));
  const started: { readonly prompt: string; readonly generation: Generation }[] = [];
  for (const prompt of prompts)
    for (let i = 0; i < n; i++) {
      const content = withPictures(prompt, pictures);
      const said: LLMPrompt = isChatModel ? [{ role: 'user', content }] : prompt;
      const seed = request.seed === undefined ? {} : { seed: request.seed + started.length };
      const options = { ...request, ...seed, ...(grammar !== undefined && { grammar }) };
      started.push({ prompt, generation: await llm.start(said, options) });
    }
  try {
    for (const [index, { prompt, generation }] of started.entries()) {
      if (!json) {
        if (started.length > 1) process.stdout.write(`${index > 0 ? '\n' : ''}[${index}] ${prompt}\n`);
        for await (const { text } of generation) process.stdout.write(text);
        process.stdout.write('\n');
      } else
        process.stdout.write(`${JSON.stringify({ index, prompt, ...(await generation.result) }, plain)}\n`);
    }
  } catch (error) {
    for (const { generation } of started) generation.abort(error);
    throw error;
  }
}

/** Typed arrays become lists. */
const plain = (_: string, value: unknown): unknown =>
  ArrayBuffer.isView(value) ? Array.from(value as Int32Array) : value;

/** `atb-models generate`: text that goes on where prompts end. */
export const generateCommand: Command<{
  readonly prompts?: readonly string[] | undefined;
  readonly '--'?: readonly string[];
}> = {
  longHelp: SHAPE,
  builder: (argv) =>
    declareFlags(
      argv.positional('prompts', {
        type: 'string',
        array: true,
        describe: 'texts to go on with; standard input when absent',
      }),
      SHAPE,
    ),
  async handler(argv) {
    const { chatTemplateKwargs: _, enableThinking: __, ...asked } = optionsOf(argv, GENERATE_FLAGS);
    const chatTemplateKwargs = templateVariables(optionsOf(argv, TEMPLATE_FLAGS));
    const guide = guideOf(optionsOf(argv, GUIDE_FLAGS));
    const loading = optionsOf(argv, [...LLM_FLAGS, 'chat_template']);
    const prompts = await promptsOf([...(argv.prompts ?? []), ...(argv['--'] ?? [])]);
    const maxNumSeqs = Math.min(MAX_NUM_SEQS, prompts.length * asked.n);
    await stoppable((signal) =>
      withLlm({ ...loading, maxNumSeqs }, (llm) =>
        answer(llm, {
          ...asked,
          ...optionsOf(argv, ANSWER_FLAGS),
          ...(chatTemplateKwargs && { template: { chatTemplateKwargs } }),
          guide,
          prompts,
          signal,
        }),
      ),
    );
  },
};
