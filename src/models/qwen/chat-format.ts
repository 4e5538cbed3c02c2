import type { ChatFormat } from '../../router/index.js';

/** ChatML as `make_context` of the published qwen_generation_utils.py writes it: nothing stands behind the last turn. */
export const QWEN_CHAT: ChatFormat = {
  template: [
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}",
    '{% for message in messages %}',
    "{% if not loop.first %}{{ '\\n' }}{% endif %}",
    "{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' }}",
    '{% endfor %}',
    "{% if add_generation_prompt %}{{ '\\n<|im_start|>assistant\\n' }}{% endif %}",
  ].join(''),
  stops: ['<|im_end|>', '<|im_start|>'],
};
