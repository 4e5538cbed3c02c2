import type { ChatFormat } from '../../router/index.js';

/**
 * Turns as Mistral's own tokenizer writes them (mistral-common, InstructTokenizerV7), for checkpoints that come with
 * tekken.json alone. `chat_template_kwargs` with `transcribe` ask for what was said, in the `language` that is named.
 */
export const VOXTRAL_CHAT: ChatFormat = {
  template: `{%- macro parts(content) -%}
{%- if content is string -%}{{ content }}
{%- else -%}
{%- for part in content -%}
{%- if part.type == 'audio' -%}[BEGIN_AUDIO][AUDIO]{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
{{- bos_token -}}
{%- for message in messages -%}
{%- if message.role == 'system' -%}[SYSTEM_PROMPT]{{ parts(message.content) }}[/SYSTEM_PROMPT]
{%- elif message.role == 'user' -%}[INST]{{ parts(message.content) }}[/INST]
{%- elif message.role == 'assistant' -%}{{ parts(message.content) + eos_token }}
{%- else -%}{{ raise_exception('Voxtral knows the roles system, user and assistant') }}
{%- endif -%}
{%- endfor -%}
{%- if transcribe -%}{{ 'lang:' + language if language else '' }}[TRANSCRIBE]{%- endif -%}`,
};
