import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import { ChatTemplate, type ChatTemplateLimits } from '../../src/tokenizer/chat-template.js';

/** A second, and as much again for a machine that other programs share. */
const LIMIT_MS = 2000;
const NOW = new Date(2024, 6, 26, 14, 5, 9);

function render(
  source: string,
  variables: Record<string, unknown> = {},
  limits: ChatTemplateLimits = {},
): string {
  return new ChatTemplate(source, 'test.jinja', limits).render(variables, undefined, NOW);
}

/** The code of the error, and what it says is exceeded or wrong. */
function failure(
  source: string,
  variables: Record<string, unknown> = {},
  limits: ChatTemplateLimits = {},
): { code: string; message: string } {
  // Of computing: a busy machine takes longer by the clock.
  const start = process.cpuUsage();
  try {
    const text = render(source, variables, limits);
    return { code: 'none', message: text.slice(0, 200) };
  } catch (error) {
    if (!(error instanceof AtbError)) throw error;
    const elapsedMs = process.cpuUsage(start).user / 1000;
    if (elapsedMs > LIMIT_MS) throw new Error(`took ${elapsedMs} ms`);
    return { code: error.code, message: error.message };
  }
}

function expectLimit(source: string, what: RegExp, variables: Record<string, unknown> = {}): void {
  // Where something else is to end it, the clock of a busy machine must not.
  const limits = what.source.includes('milliseconds') ? {} : { limitMs: 60_000 };
  const { code, message } = failure(source, variables, limits);
  expect(code, message).to.equal('TEMPLATE_LIMIT');
  expect(message).to.match(what);
}

const doubled = (start: string, times: number): string =>
  `{% set x = ${start} %}${'{% set x = x + x %}'.repeat(times)}`;

describe('ChatTemplate', () => {
  it('renders what real templates use', () => {
    const messages = [
      { role: 'system', content: ' Be brief. ' },
      { role: 'user', content: 'Hi' },
    ];
    const source = [
      '{%- if messages[0]["role"] == "system" %}{% set system = messages[0].content | trim %}{% set messages = messages[1:] %}{% endif %}',
      '{%- set ns = namespace(count=0) %}',
      '{%- macro turn(m) %}<|{{ m.role }}|>{{ m.content.strip() }}{% endmacro %}',
      '{{- bos_token + system }}',
      '{%- for m in messages if m.role != "tool" %}{% set ns.count = ns.count + 1 %}{{ turn(m) }}{{ loop.last }}{% endfor %}',
      '{{- ns.count }}{{ tools is none }}{{ {"a": [1, "é"]} | tojson }}{{ strftime_now("%d %b %Y") }}',
    ].join('\n');
    expect(render(source, { messages, bos_token: '<s>', tools: null })).to.equal(
      '<s>Be brief.<|user|>HiTrue1True{"a": [1, "é"]}26 Jul 2024',
    );
  });

  it('gives replace, split, join, indent and slices their usual results', () => {
    const cases: Array<[string, string]> = [
      ['{{ "a-b-c".replace("-", "+") }}', 'a+b+c'],
      ['{{ "a-b-c" | replace("-", "") }}', 'abc'],
      ['{{ "a-b-c".replace("-", "+", 1) }}', 'a+b-c'],
      ['{{ "a</think>b".split("</think>")[-1] }}', 'b'],
      ['{{ " x  y ".split() | join("|") }}', 'x|y'],
      ['{{ [1, 2] | join(", ") }}', '1, 2'],
      ['{{ "a\nb" | indent(2) }}', 'a\n  b'],
      ['{{ "hello"[1:3] }}{{ "hello"[::-1] }}', 'elolleh'],
      ['{{ {"a": 1} | tojson(indent=2) }}', '{\n  "a": 1\n}'],
      ['{% filter replace("a", "b") %}aXa{% endfilter %}', 'bXb'],
      ['{% filter upper %}ab{% endfilter %}', 'AB'],
      ['{% for i in range(3) %}{% if i == 1 %}{% continue %}{% endif %}{{ i }}{% endfor %}', '02'],
      ['{% for i in range(2, 12, 4) %}{{ i }},{% endfor %}{{ range(3, 0, -1) | list }}', '2,6,10,[3, 2, 1]'],
      ['{% for k in {"a": 1, "b": 2} %}{{ k }}{% endfor %}', 'ab'],
      ['{% set f = "aa".replace %}{{ f("a", "b") }}{{ "aa"["repl" + "ace"]("a", "c") }}', 'bbcc'],
      ['{{ [{"r": "u"}, {"r": "a"}] | selectattr("r", "equalto", "a") | list | length }}', '1'],
      ['{{ "x" if missing is defined else "y" }}{{ missing | default("d") }}', 'yd'],
    ];
    for (const [source, expected] of cases) expect(render(source), source).to.equal(expected);
  });

  it('writes dates as Python does, whatever the locale', () => {
    expect(render('{{ strftime_now("%A %a %B %b %Y %y %m %d %H %I %M %S %p %% %q") }}')).to.equal(
      'Friday Fri July Jul 2024 24 07 26 14 02 05 09 PM % %q',
    );
  });

  it('hands on what the template raises', () => {
    const { code, message } = failure('{{ raise_exception("roles must alternate") }}');
    expect([code, message]).to.deep.equal([
      'TEMPLATE_REFUSED',
      'TEMPLATE_REFUSED: test.jinja refuses this conversation: roles must alternate',
    ]);
  });

  it('names its source when it does not parse', () => {
    expect(failure('{% for %}').code).to.equal('TEMPLATE_INVALID');
    expect(failure('{% if x %}').message).to.match(/test\.jinja is not a chat template/);
    expect(failure('{{ "a" | no_such_filter }}').code).to.equal('TEMPLATE_FAILED');
    expect(failure('{{ 1 + none }}').code).to.equal('TEMPLATE_FAILED');
  });
});

describe('a hostile chat template', () => {
  const array = (times: number): string => doubled('[0]', times);

  it('cannot count to a billion', () => {
    expectLimit('{% for i in range(1000000000) %}{{ i }}{% endfor %}', /numbers of a range/);
    expectLimit('{% set x = range(0, 1000000000, 2) %}', /numbers of a range/);
  });

  it('cannot nest loops', () => {
    expectLimit(
      '{% for i in range(30000) %}{% for j in range(30000) %}{% endfor %}{% endfor %}',
      /steps|characters made in all|milliseconds/,
    );
    expectLimit(
      `${'{% for i in range(90000) %}'.repeat(20)}${'{% endfor %}'.repeat(20)}`,
      /steps|characters made in all|milliseconds/,
    );
  });

  it('cannot double a string sixty times', () => {
    expectLimit(doubled('"ab"', 60), /characters of a string/);
    expectLimit(doubled('"ab"', 60).replaceAll('x + x', 'x ~ x'), /characters of a string/);
  });

  it('cannot double a list', () => {
    expectLimit(array(40), /items of a list/);
  });

  it('cannot nest 20,000 parentheses, lists, or blocks', () => {
    for (const source of [
      `{{ ${'('.repeat(20_000)}1${')'.repeat(20_000)} }}`,
      `{{ ${'['.repeat(20_000)}${']'.repeat(20_000)} }}`,
      `${'{% if 1 %}'.repeat(10_000)}${'{% endif %}'.repeat(10_000)}`,
      `{{ ${'-'.repeat(50_000)}1 }}`,
      `{{ ${'not '.repeat(50_000)}1 }}`,
    ]) {
      expectLimit(source, /nesting|levels|tokens|milliseconds/);
    }
  });

  it('cannot reach JavaScript through constructor', () => {
    expect(
      render('{{ x.constructor }}{{ x.constructor.constructor("return 1")() if x.constructor is defined }}', {
        x: 'a',
      }),
    ).to.equal('');
    expect(failure('{{ "".constructor.constructor("return process")() }}').code).to.equal('TEMPLATE_FAILED');
    expect(failure('{{ range.constructor("return process")() }}').code).to.equal('TEMPLATE_FAILED');
  });

  it('cannot reach or change prototypes', () => {
    expect(render('{{ x.__proto__ }}{{ x["__proto__"] }}{{ "".__proto__ }}', { x: {} })).to.equal('');
    expect(failure('{% set x.__proto__ = 1 %}', { x: {} }).code).to.equal('TEMPLATE_FAILED');
    expect(failure('{% set ns = namespace() %}{% set ns.__proto__ = "p" %}{{ ns.__proto__ }}').code).to.equal(
      'TEMPLATE_FAILED',
    );
    expect(({} as Record<string, unknown>).p).to.equal(undefined);
  });

  it('cannot recurse through macros or caller', () => {
    expectLimit('{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', /inside one another/);
    expectLimit('{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}', /inside one another/);
  });

  it('cannot make more output than 16 MiB', () => {
    const source = '{% for i in range(200) %}{{ x }}{% endfor %}';
    expectLimit(source, /characters of a string/, { x: 'y'.repeat(100_000) });
    expect(render(source.replace('200', '150'), { x: 'y'.repeat(100_000) })).to.have.length(15_000_000);
    expectLimit(`{% set y %}${source}{% endset %}{{ y }}`, /characters of a string/, {
      x: 'y'.repeat(100_000),
    });
  });

  it('cannot be longer than 256 KiB or of 50,000 tokens', () => {
    expectLimit(' '.repeat(256 * 1024 + 1), /characters of its text/);
    expectLimit('{{x}}'.repeat(52_000), /tokens|milliseconds/);
  });

  it('cannot multiply a text through replace, join, indent, tojson or split', () => {
    const x = 'a'.repeat(100_000);
    for (const source of [
      '{{ x.replace("a", x) }}',
      '{{ x | replace("a", x) }}',
      '{{ x | replace(*["a", x]) }}',
      '{{ x.replace("", x) }}',
      '{% set f = x.replace %}{{ f("a", x) }}',
      '{% filter replace("a", x) %}{{ x }}{% endfilter %}',
      '{{ x | join(x) }}',
      '{{ range(90000) | join(x) }}',
      '{{ range(90000) | join(d=x) }}',
      '{{ x.replace("a", "\n") | indent(100000) }}',
      '{{ "a\nb" | indent(1000000000) }}',
      '{{ "a\nb" | indent(width=1000000000) }}',
      '{{ range(90000) | list | tojson(indent=100000) }}',
      '{{ {"a": 1} | tojson(indent=1000000000) }}',
      '{{ range(90000) | list | tojson(separators=[x, x]) }}',
      '{{ range(90000) | list | tojson(**{"indent": 100000}) }}',
      '{{ (x + x).split("a") }}',
      '{{ (x + x).replace("a", " a").split() }}',
    ]) {
      expectLimit(source, /characters of|characters made|items of|milliseconds/, { x });
    }
  });

  it('cannot write out a small value that refers to itself many times', () => {
    const shared = `{% set x = ["0123456789"] %}{% set y = ["0123456789"] %}${'{% set x = [x, x] %}{% set y = [y, y] %}'.repeat(60)}`;
    for (const use of ['{{ x }}', '{{ x | tojson }}', '{{ x | string }}', '{{ "" ~ x }}', '{{ x == y }}']) {
      expectLimit(shared + use, /steps|characters made in all|milliseconds/);
    }
    expectLimit('{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}', /inside one another/);
    expect(render('{% set ns = namespace() %}{{ [ns, ns] }}')).to.equal('[<Namespace {}>, <Namespace {}>]');
  });

  it('cannot nest data without end', () => {
    expectLimit(
      '{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}',
      /inside one another/,
    );
  });

  it('cannot keep much by making many things', () => {
    const big = '{% set ns = namespace() %}';
    const source = `${big}{% for i in range(200) %}{% for j in range(500) %}{% set x = x.upper() %}{% endfor %}{% endfor %}`;
    expectLimit(source, /characters made in all|milliseconds/, { x: 'a'.repeat(2000) });
  });

  it('is stopped when one operation takes too long', () => {
    const items = Array.from({ length: 500 }, (_, i) => 'z'.repeat(2000) + (i % 97));
    const sorts = '{% set y = y | sort(reverse=true) | sort %}'.repeat(200);
    expectLimit(`{% set y = items %}${sorts}`, /milliseconds/, { items });
  });

  it('cannot kill a process that has a heap of 160 MB', () => {
    const program = fileURLToPath(new URL('hostile-templates.js', import.meta.url));
    const lines = execFileSync(process.execPath, ['--max-old-space-size=160', program], { encoding: 'utf8' })
      .trim()
      .split('\n');
    const peakMb = Number.parseInt(lines.pop() ?? '', 10);
    expect(lines).to.have.length(16);
    for (const line of lines) expect(line).to.match(/: TEMPLATE_LIMIT (?!milliseconds)/);
    // 150 MB is usual, and twice as much where the collector has to wait for a processor; one product of 40,000 times
    // 40,000 characters that slipped through would be 1,600 MB.
    expect(peakMb).to.be.lessThan(800);
  }).timeout(60_000);
});
