import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { z } from 'zod';
import { AtbError } from '../../src/errors.js';
import { compileGuide } from '../../src/guided/index.js';
import type { NativeEngine } from '../../src/native/index.js';
import { byteEngine, judge } from './guides.js';

interface Case {
  readonly schema: unknown;
  /** By llguidance, and by jsonschema: null where the text is no JSON. */
  readonly texts: readonly (readonly [text: string, isAllowed: boolean, isValid: boolean | null])[];
}

const cases = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/guided/texts.json', import.meta.url), 'utf8'),
) as readonly Case[];

describe('guides by JSON schemas', () => {
  let engine: NativeEngine;
  before(async () => {
    engine = await byteEngine();
  });
  after(() => engine.dispose());

  it('allow what llguidance allows, in a few hundred texts of 34 schemas', async () => {
    let allowed = 0;
    for (const { schema, texts } of cases) {
      const allows = await judge(engine, { jsonSchema: schema });
      for (const [text, isAllowed, isValid] of texts) {
        const where = `${JSON.stringify(schema)}: ${text}`;
        expect(allows(text), where).to.equal(isAllowed);
        if (allows(text)) expect(isValid, where).to.equal(true);
        allowed += isAllowed ? 1 : 0;
      }
    }
    expect(allowed).to.be.above(150);
  });

  it('keep numbers between bounds', async () => {
    const bound = fc.oneof(
      fc.integer({ min: -120, max: 1200 }),
      fc.integer({ min: -3000, max: 3000 }).map((hundredths) => hundredths / 100),
      fc.constantFrom(1e-7, 2.5e21, -0.001, 0),
    );
    const bounds = fc.record(
      { minimum: bound, maximum: bound, exclusiveMinimum: bound, exclusiveMaximum: bound },
      { requiredKeys: [] },
    );
    let inside = 0;
    await fc.assert(
      fc.asyncProperty(
        bounds,
        fc.constantFrom('integer', 'number'),
        fc.integer(),
        async (limits, type, seed) => {
          const { minimum = -Infinity, maximum = Infinity } = limits;
          const { exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity } = limits;
          const isInside = (value: number): boolean =>
            value >= minimum && value <= maximum && value > exclusiveMinimum && value < exclusiveMaximum;
          const ends = Object.values(limits);
          const near = ends.flatMap((end) => [end, end + 1, end - 1, end + 0.01, end - 0.01, end * 2, -end]);
          const values = [...near, 0, 1, -1, 0.5, 10, 99, 100, 1000, (seed % 5000) / 100];
          let allows: (text: string) => boolean = () => false;
          try {
            allows = await judge(engine, { jsonSchema: { type, ...limits } });
          } catch (error) {
            // The engine and the schema each say in their own way that nothing is left.
            expect(error).to.be.instanceOf(AtbError).with.property('code', 'GUIDE_INVALID');
          }
          for (const value of values.map((number) => Number(number.toFixed(4)))) {
            // From 1e21 on, JavaScript has no plain decimals for it.
            if (Object.is(value, -0) || Math.abs(value) >= 1e21) continue;
            const text = value.toFixed(4).replace(/\.?0+$/, '');
            const isWanted = isInside(value) && (type === 'number' || Number.isInteger(value));
            expect(allows(text), `${text} in ${JSON.stringify({ type, ...limits })}`).to.equal(isWanted);
            if (isWanted) inside++;
          }
        },
      ),
      { numRuns: 400, seed: 3 },
    );
    expect(inside).to.be.above(500);
  });

  it('allow blanks where one lays JSON out, and not without end', async () => {
    const schema = { type: 'object', properties: { a: { type: 'array', items: {} } }, required: ['a'] };
    const allows = await judge(engine, { jsonSchema: schema });
    const value = { a: [1, { b: null }, 'c'] };
    for (const indent of [undefined, 2, 4, '\t']) {
      const text = JSON.stringify(value, undefined, indent);
      expect(allows(text), text).to.equal(true);
    }
    expect(allows('{"a": [1, 2]}')).to.equal(true);
    expect(allows(`{"a":${' '.repeat(30)}[]}`)).to.equal(false);
    expect(allows(`{"a":${'\n'.repeat(30)}[]}`)).to.equal(false);
  });

  it('keep records of listed names, as zod writes those of an enum', async () => {
    const names = z.enum(['a', 'b', 'c']);
    const whole = await judge(engine, { jsonSchema: z.toJSONSchema(z.record(names, z.int32())) });
    expect(whole('{"a":1,"b":2,"c":3}')).to.equal(true);
    for (const text of ['{"a":1,"b":2}', '{"a":1,"b":2,"c":3,"d":4}', '{"a":1,"b":2,"c":3,"a":4}'])
      expect(whole(text), text).to.equal(false);
    const listed = { propertyNames: { enum: ['a', 'b'] }, properties: { a: { type: 'null' } } };
    const partly = await judge(engine, { jsonSchema: { type: 'object', ...listed } });
    for (const text of ['{}', '{"a":null}', '{"a":null,"b":1}', '{"b":1}'])
      expect(partly(text)).to.equal(true);
    for (const text of ['{"a":1}', '{"c":1}']) expect(partly(text), text).to.equal(false);
    const other = { type: 'object', propertyNames: { enum: ['b'] }, properties: { a: {} } };
    expect(() => compileGuide({ jsonSchema: other })).to.throw(AtbError, /propertyNames/);
  });

  it('refuse by name and place what a grammar cannot keep', () => {
    const refused: readonly (readonly [unknown, RegExp])[] = [
      [{ properties: { a: { not: { type: 'null' } } } }, /#\/properties\/a: .*cannot keep not/],
      [{ type: 'array', uniqueItems: true }, /uniqueItems/],
      [{ if: {} }, /cannot keep if/],
      [{ $ref: 'https://example.com/schema' }, /outside the schema/],
      [{ oneOf: [{ type: 'integer' }, { type: 'number' }] }, /exclude one another/],
      [{ type: 'string', pattern: 'a', maxLength: 3 }, /a length together with pattern/],
      [{ type: 'integer', multipleOf: 7 }, /multipleOf/],
      [{ items: { patternProperties: { a: {} } } }, /#\/items: .*patternProperties/],
      [{ type: 'object', properties: { a: {}, b: {} }, maxProperties: 1 }, /maxProperties/],
      [{ allOf: [{ pattern: 'a' }, { pattern: 'b' }] }, /two different values of pattern/],
    ];
    for (const [jsonSchema, message] of refused)
      expect(() => compileGuide({ jsonSchema }), JSON.stringify(jsonSchema)).to.throw(AtbError, message);
  });

  it('say what is wrong with a schema, and bound what one may ask for', () => {
    let deep: unknown = {};
    for (let i = 0; i < 3000; i++) deep = { items: deep };
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [7, /must be an object, true or false/],
      [{ type: 'text' }, /type must be one of/],
      [{ properties: [] }, /properties must be an object/],
      [{ minLength: -1, type: 'string' }, /minLength must be a whole number/],
      [{ $ref: '#/$defs/none' }, /there is no such schema/],
      [{ allOf: [{ $ref: '#' }] }, /in a circle/],
      [{ type: 'integer', minimum: 3, maximum: 2 }, /allows no value/],
      [false, /allows no value/],
      [deep, /nested more than/],
    ];
    for (const [jsonSchema, message] of wrong)
      expect(() => compileGuide({ jsonSchema }), JSON.stringify(jsonSchema).slice(0, 80)).to.throw(
        AtbError,
        message,
      );
    const wide = Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`p${i}`, { type: 'integer' }]));
    const list = (length: number, of: (i: number) => unknown): unknown[] =>
      Array.from({ length }, (_, i) => of(i));
    const twice = (i: number): unknown => ({
      allOf: [{ $ref: `#/$defs/${i + 1}` }, { $ref: `#/$defs/${i + 1}` }],
    });
    const started = performance.now();
    for (const jsonSchema of [
      { properties: wide },
      { pattern: '^(?:(?:(?:ab){99}){99}){99}$' },
      // Each of these took minutes, all the memory of the process, or all its stack.
      { properties: Object.fromEntries(list(50, (i) => ['k'.repeat(50_000) + i, true]) as [string, true][]) },
      { $defs: { ...list(60, twice), 60: {} }, $ref: '#/$defs/0' },
      { allOf: list(5000, (i) => ({ properties: { [`a${i}`]: {} } })) },
      { const: list(200_000, (i) => i) },
      { required: list(20_000, (i) => `p${i}`) },
    ])
      expect(() => compileGuide({ jsonSchema })).to.throw(AtbError, /GUIDE_TOO_LARGE/);
    expect(performance.now() - started).to.be.below(20_000);
    const described = { oneOf: list(3000, (i) => ({ const: `v${i}`, description: 'a choice' })) };
    expect(compileGuide({ jsonSchema: described }).nodes).to.be.above(3000);
  });
});
