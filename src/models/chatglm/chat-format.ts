import type { ConfigDict } from '../../layers/config/index.js';
import type { ChatFormat } from '../../router/index.js';

/** Questions and answers in numbered rounds, as `build_prompt` of ChatGLM2's published tokenization_chatglm.py. */
const ROUNDS: ChatFormat = {
  template: [
    '[gMASK]sop{% set round = namespace(number=0) %}',
    '{% for message in messages %}',
    "{% if message.role == 'user' %}{% set round.number = round.number + 1 %}",
    "{{ '[Round ' ~ round.number ~ ']\\n\\n问：' ~ message.content ~ '\\n\\n答：' }}",
    "{% elif message.role == 'assistant' %}{{ message.content ~ '\\n\\n' }}",
    "{% else %}{{ raise_exception('ChatGLM2 knows the roles user and assistant, not ' ~ message.role) }}{% endif %}",
    '{% endfor %}',
  ].join(''),
};

/** A token for each role, `metadata` behind it, and the content on a line of its own that begins with `gap`. */
const roles = (prefix: string, gap: string): ChatFormat => ({
  template: [
    `${prefix}{% for message in messages %}`,
    `{{ '<|' + message.role + '|>' + (message.metadata or '') + '\\n' }}`,
    `{% if message.content %}{{ '${gap}' + message.content }}{% endif %}`,
    "{% if message.role == 'system' and message.tools %}{{ '\\n' + message.tools | tojson(indent=4) }}{% endif %}",
    '{% endfor %}',
    '{% if add_generation_prompt %}<|assistant|>{% endif %}',
  ].join(''),
  stops: ['<|user|>', '<|observation|>'],
});

/** `build_chat_input` of ChatGLM3's code, and `apply_chat_template` of GLM-4's. SentencePiece puts a blank before texts. */
const CHATGLM3 = roles('[gMASK]sop', ' ');
const GLM4 = roles('[gMASK]<sop>', '');

/** Versions are told apart as MindIE does, by the name of the checkpoint, and GLM-4 by its larger vocabulary. */
export function chatglmChat({ _name_or_path: name, padded_vocab_size: vocabSize }: ConfigDict): ChatFormat {
  if (typeof vocabSize === 'number' && vocabSize > 100_000) return GLM4;
  return typeof name === 'string' && /chatglm2/i.test(name) ? ROUNDS : CHATGLM3;
}
