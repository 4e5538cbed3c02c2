import type { ChatFormat } from '../../router/index.js';

/**
 * As `build_inputs_for_chat` of the published modeling_telechat.py writes it; a system's text stands before all else, as
 * the template that its publisher gives to vLLM has it. A question always ends with the beginning of its answer.
 */
export const TELECHAT_CHAT: ChatFormat = {
  template: [
    "{% for message in messages if message.role == 'system' %}",
    '{% if loop.last %}{{ message.content | trim }}{% endif %}',
    '{% endfor %}',
    '{% for message in messages %}',
    "{% if message.role == 'user' %}{{ '<_user>' + message.content + '<_bot>' }}",
    "{% elif message.role == 'assistant' %}{{ message.content + '<_end>' }}{% endif %}",
    '{% endfor %}',
  ].join(''),
  stops: ['<_end>'],
};
