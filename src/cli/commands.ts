import type { Command } from './command.js';

/** A command before its code is read, which is what others need not wait for. */
interface CommandRow {
  /** Its name, and what may follow it beside flags. */
  readonly usage: string;
  readonly describe: string;
  readonly load: () => Promise<Command>;
}

/** What `atb-models` can do, beside `completion`. */
export const COMMANDS: Readonly<Record<string, CommandRow>> = {
  'bench-serve': {
    usage: 'bench-serve',
    describe: "measure a server of OpenAI's API on this machine under load",
    load: async () => (await import('./bench-serve/command.js')).benchServeCommand,
  },
  cache: {
    usage: 'cache <action> [names..]',
    describe: 'list and free packed weights that a folder keeps',
    load: async () => (await import('./cache.js')).cacheCommand,
  },
  chat: {
    usage: 'chat',
    describe: 'talk with a model: answers as they come, history, /help',
    load: async () => (await import('./chat.js')).chatCommand,
  },
  check: {
    usage: 'check',
    describe: 'say what is wrong with a model: its config, unread weights, its graphs',
    load: async () => (await import('./check.js')).checkCommand,
  },
  compare: {
    usage: 'compare',
    describe: 'find the first tensor that differs from a recorded reference',
    load: async () => (await import('./compare.js')).compareCommand,
  },
  doctor: {
    usage: 'doctor',
    describe: 'say what this machine has: kernels and why not better ones, memory, tools',
    load: async () => (await import('./doctor.js')).doctorCommand,
  },
  eval: {
    usage: 'eval',
    describe: 'perplexity of a text, in windows that do not overlap',
    load: async () => (await import('./eval.js')).evalCommand,
  },
  export: {
    usage: 'export <input> <output>',
    describe: 'write graphs, a manifest and a Python program that run a checkpoint on an NPU',
    load: async () => (await import('./export.js')).exportCommand,
  },
  generate: {
    usage: 'generate [prompts..]',
    describe: 'go on with texts, freely or by a schema, an expression or a grammar',
    load: async () => (await import('./generate.js')).generateCommand,
  },
  graph: {
    usage: 'graph',
    describe: "print a model's graph as text, dot, svg or json",
    load: async () => (await import('./graph.js')).graphCommand,
  },
  inspect: {
    usage: 'inspect',
    describe: 'say what a checkpoint holds and needs, from its headers alone',
    load: async () => (await import('./inspect.js')).inspectCommand,
  },
  models: {
    usage: 'models [action] [name]',
    describe: 'list the families of models that are known, or list and free models of the cache',
    load: async () => (await import('./models.js')).modelsCommand,
  },
  new: {
    usage: 'new <directory>',
    describe: 'write a model directory that runs, to change from there',
    load: async () => (await import('./new.js')).newCommand,
  },
  pull: {
    usage: 'pull <model> [file]',
    describe: 'fetch a model by name into the Hugging Face cache',
    load: async () => (await import('./pull.js')).pullCommand,
  },
  quantize: {
    usage: 'quantize <input> <output>',
    describe: 'write a quantised checkpoint, which loads without the float one',
    load: async () => (await import('./quantize.js')).quantizeCommand,
  },
  serve: {
    usage: 'serve',
    describe: "serve models by OpenAI's and Anthropic's APIs",
    load: async () => (await import('./serve.js')).serveCommand,
  },
};
