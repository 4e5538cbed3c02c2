import { refuseRequest } from '../errors.js';
import type { OptionsOf } from './command-line.js';

/** The flags that set variables of the chat template. */
export const TEMPLATE_FLAGS = ['chat_template_kwargs', 'enable_thinking'] as const;

/** What the chat template is given beside the dialogue; undefined: nothing. */
export function templateVariables({
  chatTemplateKwargs,
  enableThinking,
}: OptionsOf<(typeof TEMPLATE_FLAGS)[number]>): Readonly<Record<string, unknown>> | undefined {
  if (enableThinking === undefined) return chatTemplateKwargs;
  if (chatTemplateKwargs && Object.hasOwn(chatTemplateKwargs, 'enable_thinking'))
    refuseRequest('--enable_thinking', 'absent, as --chat_template_kwargs says it', enableThinking);
  return { ...chatTemplateKwargs, enable_thinking: enableThinking };
}
