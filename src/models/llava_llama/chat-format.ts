import type { ConfigDict } from '../../layers/config/index.js';
import type { ChatFormat } from '../../router/index.js';

/** Dialogues as LLaVA's first code writes them with Vicuna (`vicuna_v1`). */
const VICUNA = `{{- bos_token -}}
{%- if messages[0].role == 'system' -%}{{ messages[0].content + ' ' }}
{%- else -%}
{{- 'A chat between a curious user and an artificial intelligence assistant. ' -}}
{{- "The assistant gives helpful, detailed, and polite answers to the user's questions. " -}}
{%- endif -%}
{%- for message in messages -%}
{%- if message.role == 'user' -%}{{ 'USER: ' + message.content + ' ' }}
{%- elif message.role == 'assistant' -%}{{ 'ASSISTANT: ' + message.content + eos_token }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}`;

/** The same with Mistral (`mistral_instruct`). */
const MISTRAL = `{{- bos_token -}}
{%- set seen = namespace(told='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- set seen.told = '<<SYS>>\\n' + message.content + '\\n<</SYS>>\\n\\n' -%}
{%- elif message.role == 'user' -%}
{{- '[INST] ' + seen.told + message.content + ' [/INST]' -}}
{%- set seen.told = '' -%}
{%- elif message.role == 'assistant' -%}{{ ' ' + message.content + ' ' + eos_token }}
{%- endif -%}
{%- endfor -%}`;

/** For checkpoints that bring no template, as those of LLaVA 1.5 and 1.6. */
export const chatFormat = ({ model_type }: ConfigDict): ChatFormat => ({
  template: model_type === 'llava_mistral' ? MISTRAL : VICUNA,
});
