import type { ChatFormat } from '../../router/index.js';

/** ChatML as `build_inputs` of the published modeling_internlm2.py writes it. */
export const INTERNLM2_CHAT: ChatFormat = {
  template: [
    '{{ bos_token }}',
    '{% for message in messages %}',
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}",
    '{% endfor %}',
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
  ].join(''),
  stops: ['<|im_end|>'],
};
