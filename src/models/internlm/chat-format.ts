import type { ChatFormat } from '../../router/index.js';

/** As `build_inputs` of the published modeling_internlm.py writes it. */
export const INTERNLM_CHAT: ChatFormat = {
  template: [
    '{{ bos_token }}',
    '{% for message in messages %}',
    "{% if message.role == 'system' %}{{ '<|System|>:' + message.content + '\\n' }}",
    "{% elif message.role == 'user' %}{{ '<|User|>:' + message.content + '\\n' }}",
    "{% else %}{{ '<|Bot|>:' + message.content + '<eoa>\\n' }}{% endif %}",
    '{% endfor %}',
    "{% if add_generation_prompt %}{{ '<|Bot|>:' }}{% endif %}",
  ].join(''),
  stops: ['<eoa>'],
};
