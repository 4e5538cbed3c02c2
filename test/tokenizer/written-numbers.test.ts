import { expect } from 'chai';
import fc from 'fast-check';
import { InputBuilder } from '../../src/tokenizer/input-builder.js';
import { parseWritten } from '../../src/tokenizer/written-numbers.js';
import { byteLevel } from './small-tokenizers.js';

const TEXT =
  '{"a":1.0,"b":[2.0,3,-0.0,1e3,1.5],"c":12345678901234567890,"s":"a\\": 1.0, 2.0","d":{"e":-7E+2},"z":-0}';

function rendered(source: string, value: unknown): string {
  const builder = new InputBuilder(byteLevel(), new Map([['default', { source, name: 'test' }]]));
  return builder.renderChatTemplate([{ role: 'user', content: '' }], { tools: [value] });
}

describe('numbers of JSON', () => {
  it('are in a prompt as Python has them: floats where they were written so, integers exact', () => {
    const value = parseWritten(TEXT);
    // json.loads and transformers' tojson, jinja2 3.1.
    expect(rendered('{{ tools[0] | tojson }}', value)).to.equal(
      '{"a": 1.0, "b": [2.0, 3, -0.0, 1000.0, 1.5], "c": 12345678901234567890, "s": "a\\": 1.0, 2.0", "d": {"e": -700.0}, "z": 0}',
    );
    expect(rendered('{{ tools[0].b }} {{ tools[0].a + 1 }} {{ tools[0].c }}', value)).to.equal(
      '[2.0, 3, -0.0, 1000.0, 1.5] 2.0 12345678901234567890',
    );
    expect(rendered('{{ tools[0].a }}', { ...(value as object) })).to.equal('1.0');
    expect(rendered('{{ tools[0].a }}', { a: 1.0 })).to.equal('1');
  });

  it('are plain numbers otherwise', () => {
    const { a, b, c } = parseWritten(TEXT) as { a: number; b: number[]; c: number };
    expect([a, b[0], c]).to.deep.equal([1, 2, Number('12345678901234567890')]);
    expect(JSON.stringify(parseWritten(TEXT))).to.equal(JSON.stringify(JSON.parse(TEXT)));
    expect(() => parseWritten('[1.0')).to.throw(SyntaxError);
  });

  it('change nothing else of any JSON', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const odd = text.replace(/(?<=[:,[])(\d+)(?=[,\]}])/g, '$1.0');
        for (const each of [text, odd])
          if (JSON.stringify(parseWritten(each)) !== JSON.stringify(JSON.parse(each))) throw new Error(each);
      }),
      { numRuns: 2000, seed: 8 },
    );
  });
});
