import { expect } from 'chai';
import fc from 'fast-check';
import { type AnswerEvent, wholeEvents } from '../../src/answers/answer-event.js';
import { answerFormat, answerReader } from '../../src/answers/answer-reader.js';

function eventsOf(template: string, pieces: readonly string[], prompt = ''): AnswerEvent[] {
  const reader = answerReader(answerFormat(template), { mayCall: true, prompt });
  return [...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()];
}

/** Calls as those who read a stream join them. */
function streamed(events: readonly AnswerEvent[]): (readonly [name: string, args: string])[] {
  const calls: [string, string][] = [];
  for (const event of events) {
    if (event.kind === 'call-start') calls.push([event.name, '']);
    if (event.kind === 'call-arguments') (calls.at(-1) as [string, string])[1] += event.text;
  }
  return calls;
}

/** Answers joined: text, reasoning, and calls in their order, which are those of a stream. */
function read(template: string, pieces: readonly string[], prompt = ''): object {
  const all = eventsOf(template, pieces, prompt);
  const events = wholeEvents(all);
  const joined = (kind: 'text' | 'reasoning'): string =>
    events.map((event) => (event.kind === kind ? event.text : '')).join('');
  const calls = events.flatMap((event) => (event.kind === 'tool-call' ? [event.call] : []));
  if (!all.some(({ kind }) => kind === 'call-failed'))
    expect(streamed(all)).to.deep.equal(calls.map((call) => [call.name, call.arguments]));
  return {
    text: joined('text'),
    ...(joined('reasoning') && { reasoning: joined('reasoning') }),
    ...(calls.length > 0 && { calls: calls.map(({ name, arguments: args }) => [name, JSON.parse(args)]) }),
  };
}

interface Case {
  readonly what: string;
  /** What of the family's template shows the format. */
  readonly template: string;
  readonly answer: string;
  readonly prompt?: string;
  readonly expected: object;
}

/** How harmony's templates, which have channels, begin an answer and show earlier ones. */
const HARMONY =
  '<|start|>assistant<|channel|>final<|message|>{{ content }}<|end|> to=functions.{{ name }}<|call|>';
const weather = ['get_weather', { city: 'Paris' }];
const cases: readonly Case[] = [
  {
    what: 'Qwen 3: reasoning, text and two calls',
    template: '<think></think> <tool_call>\n{"name": …}\n</tool_call>',
    answer:
      '<think>\nHm, 1 < 2.\n</think>\n\nI look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>\n<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>',
    expected: { text: 'I look.\n', reasoning: '\nHm, 1 < 2.\n', calls: [weather, ['now', {}]] },
  },
  {
    what: 'DeepSeek R1: the prompt opens the reasoning',
    template: '<think>',
    prompt: '<|Assistant|><think>\n',
    answer: 'First …\n</think>\n\nFour.',
    expected: { text: 'Four.', reasoning: 'First …\n' },
  },
  {
    what: 'Qwen 3 without thinking: the prompt closes it',
    template: '<think>',
    prompt: '<|im_start|>assistant\n<think>\n\n</think>\n\n',
    answer: 'Four.',
    expected: { text: 'Four.' },
  },
  {
    what: 'reasoning that never ends',
    template: '<think>',
    answer: '<think>on and on </thin',
    expected: { text: '', reasoning: 'on and on </thin' },
  },
  {
    what: 'Llama 3.1: the answer is the call',
    template: 'Respond in the format {"name": function name, "parameters": …}',
    answer: '{"name": "get_weather", "parameters": {"city": "Paris"}}',
    expected: { text: '', calls: [weather] },
  },
  {
    what: 'Llama 3.1: several, after its tag',
    template: '<|python_tag|>',
    answer:
      '<|python_tag|>{"name": "get_weather", "parameters": {"city": "Paris"}}; {"name": "now", "parameters": {}}',
    expected: { text: '', calls: [weather, ['now', {}]] },
  },
  {
    what: 'Llama 3.1: JSON that is no call is text',
    template: '<|python_tag|>',
    answer: '{"city": "Paris"} is JSON',
    expected: { text: '{"city": "Paris"} is JSON' },
  },
  {
    what: 'Mistral: a list',
    template: '[TOOL_CALLS]',
    answer: 'Yes. [TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Paris"}, "id": "abc123def"}]',
    expected: { text: 'Yes. ', calls: [weather] },
  },
  {
    what: 'Mistral: names and arguments',
    template: '[THINK] [TOOL_CALLS]name[ARGS]',
    answer: '[THINK]so[/THINK][TOOL_CALLS]get_weather[ARGS]{"city": "Paris"}[TOOL_CALLS]now[ARGS]{}',
    expected: { text: '', reasoning: 'so', calls: [weather, ['now', {}]] },
  },
  {
    what: 'Qwen3-Coder: XML',
    template: '<tool_call>\n<function=example>',
    answer:
      '<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>',
    expected: { text: '', calls: [['get_weather', { city: 'Paris', days: 3 }]] },
  },
  {
    what: 'Seed-OSS: XML and its own thinking',
    template: '<seed:think> <seed:tool_call>',
    answer:
      '<seed:think>hm</seed:think><seed:tool_call>\n<function=get_weather>\n<parameter=city>Paris</parameter>\n</function>\n</seed:tool_call>',
    expected: { text: '', reasoning: 'hm', calls: [weather] },
  },
  {
    what: 'GLM-4.5: pairs',
    template: '<tool_call>{function-name}\n<arg_key>',
    answer: '<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>',
    expected: { text: '', calls: [weather] },
  },
  {
    what: 'GLM-4: a name, then JSON',
    template: '<|observation|>',
    answer: 'get_weather\n{"city": "Paris"}',
    expected: { text: '', calls: [weather] },
  },
  {
    what: 'GLM-4: a text of one line and more',
    template: '<|observation|>',
    answer: 'Paris\nis sunny.',
    expected: { text: 'Paris\nis sunny.' },
  },
  {
    what: 'InternLM 2',
    template: '<|action_start|>',
    answer:
      'I look.<|action_start|><|plugin|>\n{"name": "get_weather", "parameters": {"city": "Paris"}}<|action_end|>',
    expected: { text: 'I look.', calls: [weather] },
  },
  {
    what: 'Command R7B',
    template: '<|START_THINKING|> <|START_ACTION|>',
    answer:
      '<|START_THINKING|>hm<|END_THINKING|><|START_ACTION|>[\n{"tool_call_id": "0", "tool_name": "get_weather", "parameters": {"city": "Paris"}}\n]<|END_ACTION|>',
    expected: { text: '', reasoning: 'hm', calls: [weather] },
  },
  {
    what: 'Granite',
    template: '<|tool_call|>',
    answer: '<|tool_call|>[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
    expected: { text: '', calls: [weather] },
  },
  {
    what: 'Phi-4-mini',
    template: 'functools[',
    answer: 'functools[{"name": "get_weather", "arguments": {"city": "Paris"}}]',
    expected: { text: '', calls: [weather] },
  },
  {
    what: 'Hunyuan',
    template: '<tool_calls><tool_call>name\n```json',
    answer: '<tool_call>get_weather\n```json\n{"city": "Paris"}\n```</tool_call>',
    expected: { text: '', calls: [weather] },
  },
  {
    what: 'Hunyuan, with what it puts around its calls',
    template: '<tool_calls><tool_call>name\n```json',
    answer:
      'I look.\n<tool_calls>\n<tool_call>get_weather\n```json\n{"city": "Paris"}\n```</tool_call>\n<tool_call>now\n```json\n{}\n```</tool_call>\n</tool_calls>',
    expected: { text: 'I look.\n', calls: [weather, ['now', {}]] },
  },
  {
    what: 'Hunyuan-A13B: reasoning, and an answer between marks',
    template: "<think> {{ content.split('<answer>')[-1] }} <tool_calls>",
    answer: '<think>\nHm.\n</think>\n<answer>\nFour.\nYes.\n</answer>',
    expected: { text: 'Four.\nYes.', reasoning: '\nHm.\n' },
  },
  {
    what: 'Hunyuan-A13B: a list of calls',
    template: "<think> {{ content.split('<answer>')[-1] }} <tool_calls>",
    answer:
      '<think>\n\n</think>\n<answer>\n<tool_calls>[{"name": "get_weather", "arguments": {"city": "Paris"}}]</tool_calls>\n</answer>',
    expected: { text: '', reasoning: '\n\n', calls: [weather] },
  },
  {
    what: 'ERNIE 4.5: the prompt opens the reasoning, an answer and a call',
    template: '<think> <response> <tool_call>\n{"name": …}\n</tool_call>',
    prompt: '\nAssistant: <think>\n',
    answer:
      'Hm.\n</think>\n\n<response>\nI look.\n</response>\n\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>\n',
    expected: { text: 'I look.', reasoning: 'Hm.\n', calls: [weather] },
  },
  {
    what: 'gpt-oss: reasoning, and an answer',
    template: HARMONY,
    answer:
      '<|channel|>analysis<|message|>Hm, 1 < 2.<|end|><|start|>assistant<|channel|>final<|message|>Four.',
    expected: { text: 'Four.', reasoning: 'Hm, 1 < 2.' },
  },
  {
    what: 'gpt-oss: what it says before a call, and the call',
    template: HARMONY,
    answer:
      '<|channel|>analysis<|message|>Look.<|end|><|start|>assistant<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{"city": "Paris"}<|call|>',
    expected: { text: 'I look.', reasoning: 'Look.', calls: [weather] },
  },
  {
    what: 'gpt-oss: recipients before their channels, and a call without arguments',
    template: HARMONY,
    answer:
      ' to=functions.get_weather<|channel|>commentary json<|message|>{"city": "Paris"}<|call|><|start|>assistant to=functions.now<|channel|>analysis<|message|>',
    expected: { text: '', calls: [weather, ['now', {}]] },
  },
  {
    what: 'gpt-oss: several messages of a channel, one of them without its end',
    template: HARMONY,
    answer:
      '<|channel|>analysis<|message|>One.<|end|><|start|>assistant<|channel|>analysis<|message|>Two.<|start|>assistant<|channel|>final<|message|>A < B <|return|>',
    expected: { text: 'A < B ', reasoning: 'One.\n\nTwo.' },
  },
  {
    what: 'gpt-oss: a call that is none, and a header that breaks off',
    template: HARMONY,
    answer:
      '<|channel|>commentary to=functions.run<|message|>print(1)<|call|><|start|>assistant<|channel|>fin',
    expected: { text: 'print(1)' },
  },
  {
    what: 'gpt-oss: JSON alone, as a guide makes it',
    template: HARMONY,
    answer: '{"city": "Paris"}',
    expected: { text: '{"city": "Paris"}' },
  },
  {
    what: 'a call that cannot be read is text, as it was written',
    template: '<tool_call>',
    answer: 'a <tool_call>{"name": </tool_call> b',
    expected: { text: 'a <tool_call>{"name": </tool_call> b' },
  },
  {
    what: 'arguments as a text of JSON',
    template: '<tool_call>',
    answer: '<tool_call>{"name": "get_weather", "arguments": "{\\"city\\": \\"Paris\\"}"}</tool_call>',
    expected: { text: '', calls: [weather] },
  },
  // vllm-project/vllm#14745 and #23454
  {
    what: 'DeepSeek V3 and R1: types, names, and JSON in blocks of code',
    template: '<think> <｜tool▁calls▁begin｜>',
    answer:
      'I look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{"city": "Paris"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    expected: { text: 'I look.', calls: [weather, ['now', {}]] },
  },
  {
    what: 'DeepSeek V3.1: names and JSON, the last mark missing',
    template: '<｜tool▁calls▁begin｜>',
    answer:
      '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{"city": "Paris"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜>',
    expected: { text: '', calls: [weather, ['now', {}]] },
  },
  // vllm-project/vllm#31207, BerriAI/litellm#12679
  {
    what: 'Kimi K2',
    template: '<|tool_calls_section_begin|>',
    answer:
      'I look.<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{"city": "Paris"}<|tool_call_end|><|tool_call_begin|>functions.now:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>',
    expected: { text: 'I look.', calls: [weather, ['now', {}]] },
  },
  // vllm-project/vllm#26143
  {
    what: 'OLMo 3: calls of Python, with words of JSON',
    template: '<function_calls> "parameters"',
    answer:
      '<function_calls>get_weather(city="Paris")\nnow(zone=null, all=true, of=[1, -2.5, \'a\\\'b\'], more={"x": (1,)})</function_calls>',
    expected: {
      text: '',
      calls: [weather, ['now', { zone: null, all: true, of: [1, -2.5, "a'b"], more: { x: [1] } }]],
    },
  },
  {
    what: 'MiniCPM 3: thoughts, and Python in a block of code',
    template: '<|thought_start|> <|tool_call_start|>',
    answer:
      '<|thought_start|>\nHm.\n<|thought_end|>\n<|tool_call_start|>\n```python\nget_weather(city="Paris")\nnow()\n```\n<|tool_call_end|>',
    expected: { text: '', reasoning: '\nHm.\n', calls: [weather, ['now', {}]] },
  },
  // vllm-project/vllm#9859
  {
    what: 'Llama 3.2 and 4: a list of calls of Python',
    template: '{"name": …, "parameters": …}',
    answer: "[get_weather(city='Paris'), now()]",
    expected: { text: '', calls: [weather, ['now', {}]] },
  },
  // vLLM's template of Llama 4 for calls of Python; that of transformers shows JSON behind the marks.
  {
    what: 'Llama 4: calls of Python between its marks',
    template:
      '<|header_start|>assistant<|header_end|> <|python_start|> <|python_end|> {"name": …, "parameters": …}',
    answer: "<|python_start|>[get_weather(city='Paris'), now()]<|python_end|>",
    expected: { text: '', calls: [weather, ['now', {}]] },
  },
  {
    what: 'Llama 4: JSON between its marks',
    template: '<|python_start|>',
    answer: '<|python_start|>{"name": "get_weather", "parameters": {"city": "Paris"}}<|python_end|>',
    expected: { text: '', calls: [weather] },
  },
  {
    what: 'Llama 4: JSON behind marks of nothing, as its template writes calls of before',
    template: '<|python_start|>',
    answer: '<|python_start|><|python_end|>{"name": "get_weather", "parameters": {"city": "Paris"}}',
    expected: { text: '', calls: [weather] },
  },
  {
    what: 'Llama 4: a list of calls without marks',
    template: '<|header_start|> message.tool_calls',
    answer: "[get_weather(city='Paris')]",
    expected: { text: '', calls: [weather] },
  },
  {
    what: 'Llama 4: code between its marks is text',
    template: '<|python_start|>',
    answer: '<|python_start|>print(1) + 2<|python_end|>',
    expected: { text: '<|python_start|>print(1) + 2<|python_end|>' },
  },
  {
    what: 'Llama 3.2: what begins as a list and is a text',
    template: '{"name": …, "parameters": …}',
    answer: '[Paris] is sunny.',
    expected: { text: '[Paris] is sunny.' },
  },
  // waybarrios/vllm-mlx#599
  {
    what: 'Command R7B: what it puts around its answer',
    template: '<|START_THINKING|> <|START_RESPONSE|> <|START_ACTION|>',
    answer: '<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>Four.<|END_RESPONSE|>',
    expected: { text: 'Four.', reasoning: 'hm' },
  },
  // vllm-project/vllm#45167
  {
    what: 'the mark of an end within an argument',
    template: '<tool_call>',
    answer:
      '<tool_call>{"name": "write", "arguments": {"text": "a \\"<tool_call></tool_call>\\" b"}}</tool_call> done',
    expected: {
      text: 'done',
      calls: [['write', { text: 'a "<tool_call></tool_call>" b' }]],
    },
  },
  {
    what: 'braces that are no JSON are text, whatever they have in them',
    template: '<tool_call>',
    answer: '<tool_call>{x: [{"a": <tool_call>}</tool_call>',
    expected: { text: '<tool_call>{x: [{"a": <tool_call>}</tool_call>' },
  },
  {
    what: 'text beside calls, and between arguments, where the format has none',
    template: '<tool_call> <function=',
    answer:
      '<tool_call>So: <function=f><parameter=a>1</parameter> and <parameter=b>2</parameter></function></tool_call>',
    expected: { text: 'So:  and', calls: [['f', { a: 1, b: 2 }]] },
  },
  {
    what: 'text behind the last pair of a call',
    template: '<tool_call> <arg_key>',
    answer: '<tool_call>f<arg_key>a</arg_key><arg_value>1</arg_value> well</tool_call>',
    expected: { text: 'well', calls: [['f', { a: 1 }]] },
  },
  {
    what: 'a call with something else in the place of its arguments',
    template: '<tool_call>',
    answer: '<tool_call>{"name": "f", "argments": {"a": 1}}</tool_call>',
    expected: { text: '<tool_call>{"name": "f", "argments": {"a": 1}}</tool_call>' },
  },
  {
    what: 'Mistral: a mark that comes twice',
    template: '[TOOL_CALLS]',
    answer: '[TOOL_CALLS][TOOL_CALLS]f{} x',
    expected: { text: '[TOOL_CALLS][TOOL_CALLS]f{} x' },
  },
  {
    what: 'channels: a message that ends before its body, and what looks like a mark at the end',
    template: '<|channel|> <|message|>',
    answer: '<|channel|>final Hi.<|end|><|start|>assistant<|channel|>final<|message|>Ho.<|end|><',
    expected: { text: 'Hi.\n\nHo.\n\n<' },
  },
  {
    what: 'a template without either',
    template: '{{ messages }}',
    answer: 'a <think> b <tool_call>',
    expected: { text: 'a <think> b <tool_call>' },
  },
];

describe('answers', () => {
  for (const { what, template, answer, prompt, expected } of cases) {
    it(`split into text, reasoning and calls: ${what}`, () => {
      expect(read(template, [answer], prompt)).to.deep.equal(expected);
    });
  }

  const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 40 });
  function cut(answer: string, by: readonly number[]): string[] {
    const pieces: string[] = [];
    for (let [i, at] = [0, 0]; at < answer.length; i++) {
      const length = by[i % by.length] as number;
      pieces.push(answer.slice(at, at + length));
      at += length;
    }
    return pieces;
  }

  it('read the same however they are cut into pieces', () => {
    fc.assert(
      fc.property(fc.constantFrom(...cases), lengths, ({ template, answer, prompt, expected }, by) => {
        expect(read(template, cut(answer, by), prompt)).to.deep.equal(expected);
      }),
      { numRuns: 2000, seed: 1 },
    );
  });

  it('are the same in a stream and as a whole, also where a model breaks its format', () => {
    const changes = fc.array(fc.tuple(fc.nat(400), fc.nat(3), fc.constantFrom('', ...'{}[]",:\\ \n<>a1|')), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(fc.constantFrom(...cases), changes, lengths, ({ template, answer, prompt }, broken, by) => {
        const text = broken.reduce(
          (so, [at, gone, put]) => so.slice(0, at) + put + so.slice(at + gone),
          answer,
        );
        const pieces = cut(text, by);
        expect(read(template, pieces, prompt)).to.deep.equal(read(template, [text], prompt));
        const started = streamed(eventsOf(template, pieces, prompt));
        expect(started).to.deep.equal(streamed(eventsOf(template, [text], prompt)));
      }),
      { numRuns: 2000, seed: 1 },
    );
  });

  // sgl-project/sglang#13411 and #30644, lablup/mlxcel#1336, ml-explore/mlx-lm#1310, antirez/ds4#569
  // earendil-works/pi#8943
  it('have numbers as they are written, of as many digits as there are', () => {
    const args = '{"id": 12345678901234567890, "more": [1.0, {"a}": "\\"{, x"}]}';
    const compact = '{"id":12345678901234567890,"more":[1.0,{"a}":"\\"{, x"}]}';
    for (const [template, answer, expected] of [
      ['<tool_call>', `<tool_call>{"name": "f", "arguments": ${args}}</tool_call>`, compact],
      ['[TOOL_CALLS]', `[TOOL_CALLS][{"name": "f", "arguments": ${args}, "id": "a"}]`, compact],
      [
        '<tool_call>\n<function=example>',
        '<tool_call><function=f><parameter=id>12345678901234567890</parameter></function></tool_call>',
        '{"id":12345678901234567890}',
      ],
      [
        '<function_calls>',
        '<function_calls>f(id=12345678901234567890, of={1.50: -0.10})</function_calls>',
        '{"id":12345678901234567890,"of":{"1.50":-0.10}}',
      ],
    ] as const) {
      const reader = answerReader(answerFormat(template), { mayCall: true });
      const events = wholeEvents([...reader.push(answer), ...reader.end()]);
      expect(events, template).to.deep.equal([
        { kind: 'tool-call', call: { name: 'f', arguments: expected } },
      ]);
    }
  });

  it('have arguments of the types that their tools name, where the format has none', () => {
    const schemas = {
      zip: { type: 'string' },
      days: { type: 'integer' },
      ratio: { anyOf: [{ type: 'number' }, { type: 'null' }] },
      all: { type: 'boolean' },
      of: { type: 'array' },
      id: { type: ['string', 'null'] },
      unit: { enum: ['1', '2'] },
    };
    const parameters = new Map([['f', { type: 'object', properties: schemas }]]);
    const texts = [
      ...['zip 02139', 'zip 12345', 'zip true', 'zip 1e5', 'days 3', 'days soon', 'ratio 5', 'ratio null'],
      ...['all True', "of ['a', None]", 'of [1]', 'id null', 'id 123_456', 'unit 1', 'other 7', 'other x'],
    ];
    const values = ['02139', '12345', 'true', '1e5', 3, 'soon', 5, null];
    const more = [true, ['a', null], [1], null, '123_456', '1', 7, 'x'];
    const formats = {
      '<tool_call>\n<function=example>': (key: string, value: string) =>
        `<tool_call>\n<function=f>\n<parameter=${key}>\n${value}\n</parameter>\n</function>\n</tool_call>`,
      '<tool_call> <arg_key>': (key: string, value: string) =>
        `<tool_call>f\n<arg_key>${key}</arg_key>\n<arg_value>${value}</arg_value>\n</tool_call>`,
    };
    for (const [template, write] of Object.entries(formats)) {
      const found = texts.map((text) => {
        const [key = '', ...rest] = text.split(' ');
        const reader = answerReader(answerFormat(template), { mayCall: true, parameters });
        const [event] = wholeEvents(reader.push(write(key, rest.join(' '))));
        return event?.kind === 'tool-call' ? JSON.parse(event.call.arguments)[key] : event;
      });
      expect(found, template).to.deep.equal([...values, ...more]);
    }
  });

  it('take time as they are long, not more', function () {
    this.timeout(10_000);
    const file = 'x'.repeat(200_000) + '</tool_call>'.repeat(3000);
    for (const [template, begin, end] of [
      ['<tool_call>', '<tool_call>', '</tool_call>'],
      [HARMONY, '<|channel|>commentary to=functions.write<|message|>', '<|call|>'],
      ['<|tool_call_start|>', `<|tool_call_start|>[${' '.repeat(200_000)}`, ']<|tool_call_end|>'],
    ] as const) {
      const args = JSON.stringify({ text: file });
      const calls: Record<string, string> = {
        [HARMONY]: args,
        '<|tool_call_start|>': `write(text="${file}")`,
      };
      const body = calls[template] ?? `{"name": "write", "arguments": ${args}}`;
      const answer = begin + body + end;
      const reader = answerReader(answerFormat(template), { mayCall: true });
      const events = Array.from({ length: Math.ceil(answer.length / 4) }, (_, i) =>
        reader.push(answer.slice(4 * i, 4 * i + 4)),
      ).flat();
      const call = { name: 'write', arguments: args };
      expect(wholeEvents(events), begin).to.deep.equal([{ kind: 'tool-call', call }]);
    }
  });

  it('come out as soon as they are certain', () => {
    const reader = answerReader(answerFormat('<think> <tool_call>'), { mayCall: true });
    expect(reader.push('Hello <')).to.deep.equal([{ kind: 'text', text: 'Hello ' }]);
    expect(reader.push('b>')).to.deep.equal([{ kind: 'text', text: '<b>' }]);
    expect(reader.push('<think>so')).to.deep.equal([{ kind: 'reasoning', text: 'so' }]);
    const plain = answerReader(answerFormat('<|observation|>'), { mayCall: true });
    expect([plain.push('Paris'), plain.push(' is')]).to.deep.equal([
      [],
      [{ kind: 'text', text: 'Paris is' }],
    ]);
    const channels = answerReader(answerFormat(HARMONY), { mayCall: true });
    expect(channels.push('<|channel|>analysis<|message|>so <')).to.deep.equal([
      { kind: 'reasoning', text: 'so ' },
    ]);
  });

  // vllm-project/vllm#43267
  it('have names and arguments of calls as soon as these are certain', () => {
    const args = '{"a": [1, "}\\"{"], "b": {}}';
    const compact = '{"a":[1,"}\\"{"],"b":{}}';
    for (const [template, begin, end, written] of [
      ['<tool_call>', '<tool_call>\n{"name": "f", "arguments": ', '}\n</tool_call>', compact],
      ['<|python_tag|>', '<|python_tag|> {"type": "function", "name": "f", "parameters": ', '}', compact],
      [
        '<|python_start|>',
        '<|python_start|>{"type": "function", "name": "f", "parameters": ',
        '}<|python_end|>',
        compact,
      ],
      ['[TOOL_CALLS]', '[TOOL_CALLS] [{"id": "a", "name": "f", "arguments": ', '}]', compact],
      ['[TOOL_CALLS]', '[TOOL_CALLS]f[ARGS]', '', args],
      ['<|observation|>', 'f\n', '', args],
      [
        '<｜tool▁calls▁begin｜>',
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>',
        '<｜tool▁call▁end｜>',
        args,
      ],
      [HARMONY, '<|channel|>commentary to=functions.f<|message|>', '<|call|>', args],
      ['<tool_call> ```json', '<tool_call>f\n```json\n', '\n```</tool_call>', args],
      [
        '<｜tool▁calls▁begin｜>',
        '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n',
        '\n```<｜tool▁call▁end｜>',
        args,
      ],
      [
        '<|tool_call_start|>',
        '<|tool_call_start|>[{"name": "f", "arguments": ',
        '}]<|tool_call_end|>',
        compact,
      ],
    ] as const) {
      const reader = answerReader(answerFormat(template), { mayCall: true });
      expect(reader.push(begin), begin).to.deep.equal([]);
      expect(reader.push(args.slice(0, 8)), begin).to.deep.equal([
        { kind: 'call-start', name: 'f' },
        { kind: 'call-arguments', text: written === args ? args.slice(0, 8) : compact.slice(0, 7) },
      ]);
      const rest = [...reader.push(args.slice(8) + end), ...reader.end()];
      expect(wholeEvents(rest), begin).to.deep.equal([
        { kind: 'tool-call', call: { name: 'f', arguments: written } },
      ]);
    }
  });

  it('of Python come argument by argument, as JSON', () => {
    const pieces = [
      ...['f', "(path='it\\", '\'s "', "x\\u00e9', n", '=1', '2_000, of=[1e5, (Tr', 'ue,)], to={3: """a'],
      '"b""" })',
    ];
    const told = [
      ...['', '{"path":"it', '\'s \\"', 'xé",', '"n":', '12000,"of":[1e5,[', 'true]],"to":{"3":"a'],
      '\\"b"}}',
    ];
    for (const [template, begin, end] of [
      ['<|tool_call_start|>', '<|tool_call_start|>[', ']<|tool_call_end|>'],
      ['<|tool_call_start|>', '<|tool_call_start|>\n```python\n', '\n```<|tool_call_end|>'],
      ['<function_calls>', '<function_calls>', '\ng()</function_calls>'],
      ['<|python_start|>', '<|python_start|> [', ']<|python_end|>'],
      ['<|python_tag|>', '[', ', g()]'],
    ] as const) {
      const reader = answerReader(answerFormat(template), { mayCall: true });
      expect(reader.push(begin), begin).to.deep.equal([]);
      const events = pieces.map((piece) => reader.push(piece));
      const texts = events.map((some) => streamed([{ kind: 'call-start', name: '' }, ...some]).at(-1)?.[1]);
      expect(texts, begin).to.deep.equal(told);
      const all = [...events.flat(), ...reader.push(end), ...reader.end()];
      expect(wholeEvents(all)[0], begin).to.deep.equal({
        kind: 'tool-call',
        call: { name: 'f', arguments: told.join('') },
      });
    }
  });

  it('of Python may have marks of their ends, and quotes, in their texts', () => {
    const mark = '5" <|tool_call_end|>';
    for (const text of [`'${mark}'`, `"${mark.replace('"', '\\"')}"`, `'''${mark}'''`]) {
      const answer = `<|tool_call_start|>[f(a=${text})]<|tool_call_end|>done`;
      const expected = { text: 'done', calls: [['f', { a: mark }]] };
      expect(read('<|tool_call_start|>', [answer]), text).to.deep.equal(expected);
    }
  });

  it('that are cut in a call, or break it, are text as a whole and a call as far as it came in a stream', () => {
    for (const [args, told] of [
      ['{"a": "b', '{"a":"b'],
      ['{"a": tru}}\n</tool_call>', '{"a":tru}'],
      ['{"a": 1}, "x": }</tool_call>', '{"a":1}'],
    ] as const) {
      const answer = `<tool_call>{"name": "f", "arguments": ${args}`;
      for (const pieces of [[answer], [...answer]]) {
        const events = eventsOf('<tool_call>', pieces);
        expect(streamed(events)).to.deep.equal([['f', told]]);
        expect(events.at(-1)).to.deep.equal({ kind: 'call-failed', text: answer });
        expect(wholeEvents(events)).to.deep.equal([{ kind: 'text', text: answer }]);
      }
    }
  });

  it('begin no call whose name or arguments are not certain yet', () => {
    for (const [body, args] of [
      ['{"arguments": {"a": 1}, "name": "f"}', '{"a":1}'],
      ['{"name": "f", "arguments": "{\\"a\\": 1}"}', '{"a": 1}'],
      ['{"name": "f"}', '{}'],
    ] as const) {
      const reader = answerReader(answerFormat('<tool_call>'), { mayCall: true });
      expect(reader.push(`<tool_call>${body}`), body).to.deep.equal([]);
      expect(streamed(reader.push('</tool_call>')), body).to.deep.equal([['f', args]]);
    }
    // Code that calls something, but not as a tool.
    const code = '<|python_start|>print(1) + 2<|python_end|>';
    expect(eventsOf('<|python_start|>', [code])).to.deep.equal([{ kind: 'text', text: code }]);
  });

  it('tell texts among arguments without quotes as they come, and other values when they are whole', () => {
    const schemas = { path: { type: 'string' }, lines: { type: 'array' }, note: {} };
    const parameters = new Map([['write', { type: 'object', properties: schemas }]]);
    const forms = [
      [
        '<tool_call> <function=',
        '<tool_call>\n<function=write>\n<parameter=path>\na "b"',
        '\n\n</par</parameter>\n<parameter=lines>\n[1,',
        ' 2]\n</parameter><parameter=note>\nx\n</parameter>\n</function>\n</tool_call>',
      ],
      [
        '<tool_call> <arg_key>',
        '<tool_call>write\n<arg_key>path</arg_key>\n<arg_value>a "b"',
        '\n\n</par</arg_value>\n<arg_key>lines</arg_key><arg_value>[1,',
        ' 2]</arg_value><arg_key>note</arg_key>\n<arg_value>x</arg_value></tool_call>',
      ],
    ] as const;
    for (const [template, first, second, last] of forms) {
      const reader = answerReader(answerFormat(template), { mayCall: true, parameters });
      const told = [first, second, last].map((piece) => reader.push(piece));
      const all = [...told.flat(), ...reader.end()];
      const args = (events: readonly AnswerEvent[]) =>
        events.map((event) => (event.kind === 'call-arguments' ? event.text : '')).join('');
      expect(told.map(args), template).to.deep.equal([
        '{"path":"a \\"b\\"',
        '\\n\\n</par","lines":',
        '[1, 2],"note":"x"}',
      ]);
      expect(streamed(all)).to.deep.equal([['write', args(all)]]);
      expect(wholeEvents(all)).to.deep.equal([
        { kind: 'tool-call', call: { name: 'write', arguments: args(all) } },
      ]);
      // Cut within a value, it is no call, though without the value it would read as one.
      const broken = answerReader(answerFormat(template), { mayCall: true, parameters });
      expect([...broken.push(first), ...broken.end()].at(-1)).to.deep.equal({
        kind: 'call-failed',
        text: first,
      });
    }
  });

  it('are text where no call comes of what begins as one, however long', () => {
    for (const template of ['<tool_call> <function=', '<tool_call> <arg_key>']) {
      const reader = answerReader(answerFormat(template), { mayCall: true });
      const answer = `<tool_call>${'<arg_key><function=a'.repeat(20_000)}`;
      expect([...reader.push(answer), ...reader.end()]).to.deep.equal([{ kind: 'text', text: answer }]);
    }
  });

  it('have calls in channels where there are tools alone', () => {
    const reader = answerReader(answerFormat(HARMONY), { mayCall: false });
    expect(reader.push('<|channel|>commentary to=functions.now<|message|>{}<|call|>')).to.deep.equal([
      { kind: 'text', text: '{}' },
    ]);
  });
});
