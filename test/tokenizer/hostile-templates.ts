import { AtbError } from '../../src/errors.js';
import { ChatTemplate } from '../../src/tokenizer/chat-template.js';

// Time hardly counts here: what is tested is that memory is bounded. Run as a program of its own: every one of these would use up a small heap, which ends a process without appeal.

const many = (times: number, statement: (i: number) => string): string =>
  Array.from({ length: times }, (_, i) => statement(i)).join('');
const nested = (loop: string, depth: number): string => loop.repeat(depth) + '{% endfor %}'.repeat(depth);

const TEMPLATES: Record<string, string> = {
  'a long range': '{% for i in range(1000000000) %}{% endfor %}',
  'many ranges': many(2000, (i) => `{% set a${i} = range(90000) | list %}`),
  'loops within loops': nested('{% for i in range(90000) %}', 40),
  'doubled strings': `{% set x = "ab" %}${many(28, () => '{% set x = (x + x) | upper %}')}`,
  'doubled lists': `{% set x = [0] %}${many(28, () => '{% set x = x + x %}')}`,
  'copies of a text': many(3000, (i) => `{% set y${i} = (x ~ ${i}) | upper %}`),
  'pieces of a text': many(300, (i) => `{% set y${i} = x.split("a") %}`),
  'a product by replace': '{{ x[:40000].replace("a", x[:40000]) | upper }}',
  'a product by the replace filter': '{{ x[:40000] | replace("a", x[:40000]) | upper }}',
  'a product by join': '{{ x[:40000] | join(x[:40000]) | upper }}',
  'a product by indent': '{{ x[:40000].replace("a", "\n") | indent(40000) | upper }}',
  'a product by tojson': '{{ range(40000) | list | tojson(indent=40000) | upper }}',
  'shared lists': `{% set y = [x] %}${many(12, () => '{% set y = [y, y] %}')}{{ y | tojson | upper }}`,
  'a captured block': '{% set y %}{% for i in range(4000) %}{{ x }}{% endfor %}{% endset %}{{ y | upper }}',
  'macros that call themselves': '{% macro f(n) %}{{ f(n ~ n) }}{% endmacro %}{{ f("ab") }}',
  'a cycle': '{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}',
};

for (const [name, source] of Object.entries(TEMPLATES)) {
  let outcome = 'rendered';
  try {
    new ChatTemplate(source, name, { limitMs: 20_000 }).render({ x: 'a'.repeat(100_000) });
  } catch (error) {
    const { code, detail } = error as AtbError<'TEMPLATE_LIMIT'>;
    outcome = error instanceof AtbError ? `${code} ${detail.what}` : String(error);
  }
  process.stdout.write(`${name}: ${outcome}\n`);
}
process.stdout.write(`${Math.round(process.resourceUsage().maxRSS / 1024)} MB\n`);
