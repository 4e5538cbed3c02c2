import { createInterface } from 'node:readline';
import type { LLM } from '../engine/llm.js';
import { AtbError } from '../errors.js';
import { ChatLoop, type ChatLoopOptions } from './chat-loop.js';
import type { Command } from './command.js';
import { type CommandShape, declareFlags, optionsOf } from './command-line.js';
import { isInteractive } from './environment.js';
import { ANSWER_FLAGS, LLM_FLAGS, withLlm } from './llm-command.js';
import { TEMPLATE_FLAGS, templateVariables } from './template-variables.js';

const CHAT_FLAGS = ['system', 'json'] as const;
const SHAPE: CommandShape = {
  command: 'atb-models chat',
  example: '--model_path DIR --system "You are brief." --temperature 0.7',
  flags: [...LLM_FLAGS, 'chat_template', ...TEMPLATE_FLAGS, ...CHAT_FLAGS, ...ANSWER_FLAGS],
};

/** Talks until the input ends, `/exit`, or Ctrl-C twice. */
async function talk(llm: LLM, options: ChatLoopOptions): Promise<void> {
  const isTerminal = process.stdin.isTTY === true && process.stdout.isTTY === true;
  const loop = new ChatLoop(llm, options);
  const lines = createInterface({
    input: process.stdin,
    ...(isTerminal && { output: process.stdout, prompt: '> ' }),
    terminal: isTerminal,
  });
  const interrupt = (): void => {
    const interruption = loop.interrupt();
    if (interruption === 'ends') lines.close();
    if (interruption !== 'warns' || !isTerminal) return;
    process.stdout.write('\n(Ctrl-C once more, or /exit, ends)\n');
    lines.prompt();
  };
  // A terminal gives Ctrl-C to whoever reads lines, everybody else sends a signal.
  lines.on('SIGINT', interrupt);
  process.on('SIGINT', interrupt);
  try {
    if (isTerminal) process.stdout.write('/help lists commands\n');
    lines.prompt();
    for await (const line of lines) {
      if (!(await loop.line(line))) break;
      lines.prompt();
    }
  } finally {
    process.off('SIGINT', interrupt);
    lines.close();
  }
}

/** `atb-models chat`: a dialogue in the terminal, or of lines that come through a pipe. */
export const chatCommand: Command = {
  longHelp: SHAPE,
  builder: (argv) => declareFlags(argv, SHAPE),
  async handler(argv) {
    const { system, json } = optionsOf(argv, CHAT_FLAGS);
    // Whatever is said here is a dialogue, for which flags of templates otherwise need this one.
    const asked = { ...argv, is_chat_model: true };
    const loading = optionsOf(asked, [...LLM_FLAGS, 'chat_template']);
    const chatTemplateKwargs = templateVariables(optionsOf(asked, TEMPLATE_FLAGS));
    const request = {
      ...optionsOf(argv, ANSWER_FLAGS),
      ...(chatTemplateKwargs && { template: { chatTemplateKwargs } }),
    };
    const write = (text: string) => void process.stdout.write(text);
    await withLlm({ ...loading, maxNumSeqs: 1 }, async (llm) => {
      if (!llm.text.inputBuilder?.hasTemplate)
        throw new AtbError('CHAT_TEMPLATE_NEEDED', { directory: loading.modelPath });
      await talk(llm, { system, request, json, isStyled: isInteractive(process.stdout), write });
    });
  },
};
