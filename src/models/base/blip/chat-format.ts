import type { ChatFormat } from '../../../router/index.js';

/**
 * Pictures or frames, then, behind the token that begins texts, what they are asked; there are no turns (transformers 5.24,
 * `Blip2Processor`). What it was trained on asks by `Question: how many cats are there? Answer:`.
 */
export const BLIP_CHAT: ChatFormat = {
  template: `{%- if messages | length > 1 -%}
{{ raise_exception('BLIP answers one message: it knows no turns') }}
{%- endif -%}
{%- set content = messages[0].content -%}
{%- if content is string -%}{{ bos_token + content }}
{%- else -%}
{%- for part in content if part.type in ['image', 'video'] -%}{{ '<' + part.type + '>' }}{%- endfor -%}
{{- bos_token -}}
{%- for part in content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
{%- endif -%}`,
};
