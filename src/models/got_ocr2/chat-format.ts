import type { ChatFormat } from '../../router/index.js';

/**
 * The conversation that transformers 5.24 writes for it, whose checkpoints have no template: pictures, as pages of
 * one, come before the words of a message. A page is asked for by ` OCR: ` or ` OCR with format: `.
 */
export const GOT_CHAT: ChatFormat = {
  template: `{%- if messages[0].role != 'system' -%}
<|im_start|>system
You should follow the instructions carefully and explain your answers in detail.<|im_end|>
{%- endif -%}
{%- for message in messages -%}
<|im_start|>{{ message.role + '\\n' }}
{%- if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content if part.type == 'image' -%}
{{ '<img>' if loop.first else '' }}<imgpad>{{ '</img>\\n' if loop.last else '' }}
{%- endfor -%}
{%- for part in message.content if part.type == 'text' -%}{{ part.text }}{%- endfor -%}
{%- endif -%}
<|im_end|>
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}`,
  stops: ['<|im_end|>'],
};
