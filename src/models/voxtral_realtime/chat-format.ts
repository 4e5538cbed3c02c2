import type { ChatFormat } from '../../router/index.js';

/** A dialogue is one sound, in whose place everything stands that mistral-common has before an answer. */
export const VOXTRAL_REALTIME_CHAT: ChatFormat = {
  template: `{%- set heard = namespace(sounds=0) -%}
{%- for message in messages -%}
{%- if message.content is string -%}{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'audio' -%}[STREAMING_PAD]{%- set heard.sounds = heard.sounds + 1 -%}
{%- else -%}{{ part.text }}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{%- endfor -%}
{%- if heard.sounds == 0 -%}{{ raise_exception('Voxtral Realtime writes down a sound') }}{%- endif -%}`,
};
