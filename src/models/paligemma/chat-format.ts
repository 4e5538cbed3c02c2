import type { ChatFormat } from '../../router/index.js';

/** Pictures, then what is asked of them; there are no turns (transformers 5.24, `PaliGemmaProcessor`). */
export const PALIGEMMA_CHAT: ChatFormat = {
  template: `{%- if messages | length > 1 -%}
{{ raise_exception('PaliGemma answers one message: it knows no turns') }}
{%- endif -%}
{%- set content = messages[0].content -%}
{%- if content is string -%}{{ bos_token + content }}
{%- else -%}
{%- for part in content if part.type == 'image' -%}<image>{%- endfor -%}
{{- bos_token -}}
{%- for part in content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
{%- endif -%}{{ '\\n' }}`,
};
