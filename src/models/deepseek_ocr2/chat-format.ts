import type { ChatFormat } from '../../router/index.js';

/**
 * The published code writes no turns: words as they are, before them the pages of a message, each on a line of its own.
 * A page is asked for by `Free OCR. ` or `<|grounding|>Convert the document to markdown. `.
 */
export const DEEPSEEK_OCR_CHAT: ChatFormat = {
  template: `{{ bos_token }}
{%- for message in messages -%}
{%- if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content if part.type == 'image' -%}{{ '<image>\\n' }}{%- endfor -%}
{%- for part in message.content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
{%- endif -%}
{%- endfor -%}`,
};
