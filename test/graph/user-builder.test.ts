import { expect } from 'chai';
import {
  AtbError,
  AtbGraph,
  BaseOperation,
  type BuilderTensors,
  CommonOpBuilder,
  CommonOpBuilderManager,
  type OpBuilder,
  type ParamOf,
} from '../../src/index.js';

declare module '../../src/index.js' {
  interface CategoryParams {
    TEST_SCALE: { readonly factor: number };
  }
  interface BuilderTensors {
    TEST_SCALE: { input: string; scaledOut: string };
  }
  interface RopeTypes {
    test_pairs: true;
  }
  interface PositionalEmbeddingTypes {
    test_slopes: true;
  }
}

@CommonOpBuilder()
class Scale implements OpBuilder<'TEST_SCALE'> {
  readonly category = 'TEST_SCALE';

  isMatch({ factor }: ParamOf<'TEST_SCALE'>): true | string {
    return factor !== 1 || 'wants a factor other than 1';
  }

  build(
    graph: AtbGraph,
    { opName, factor }: ParamOf<'TEST_SCALE'>,
    { input, scaledOut }: BuilderTensors['TEST_SCALE'],
  ): void {
    const muls = { elewiseType: 'ELEWISE_MULS', mulsParam: { varAttr: factor } } as const;
    graph.addOperation(new BaseOperation('Elewise', muls, opName), [input], [scaledOut]);
  }
}

@CommonOpBuilder()
class RopeOfPairs implements OpBuilder<'ROPE'> {
  readonly category = 'ROPE';

  isMatch({ ropeType }: ParamOf<'ROPE'>): true | string {
    return ropeType === 'test_pairs' || 'wants test_pairs';
  }

  build(): void {}
}

@CommonOpBuilder()
class Slopes implements OpBuilder<'POSITIONAL_EMBEDDING'> {
  readonly category = 'POSITIONAL_EMBEDDING';

  isMatch({ embeddingType }: ParamOf<'POSITIONAL_EMBEDDING'>): true | string {
    return embeddingType === 'test_slopes' || 'wants test_slopes';
  }

  build(): void {}
}

describe('a category of a user', () => {
  it('is typed by declaration merging, params and tensors', () => {
    const graph = new AtbGraph('g');
    graph.addInputOutput({ input: ['x'], output: ['y'] });
    const builder = CommonOpBuilderManager.getBuilder({ category: 'TEST_SCALE', opName: 's', factor: 2 });
    builder.build(graph, { input: 'x', scaledOut: 'y' });
    expect(graph.build().nodes[0]?.op).to.deep.equal({
      type: 'Elewise',
      param: { elewiseType: 'ELEWISE_MULS', mulsParam: { varAttr: 2 } },
    });
    expect(builder.name).to.equal(Scale.name);
    const wrong = () => {
      // @ts-expect-error a tensor that the category does not have
      builder.build(graph, { input: 'x', out: 'y' });
      // @ts-expect-error a key that the category does not have
      CommonOpBuilderManager.getBuilder({ category: 'TEST_SCALE', opName: 's', by: 2 });
    };
    expect(wrong).to.be.a('function');
  });

  it('refuses in its own words', () => {
    expect(() =>
      CommonOpBuilderManager.getBuilder({ category: 'TEST_SCALE', opName: 's', factor: 1 }),
    ).to.throw(AtbError, /no TEST_SCALE builder accepts "s": Scale wants a factor other than 1/);
  });
});

describe("a user's second way to do what a category says", () => {
  const rope = { category: 'ROPE', opName: 'r', rotaryCoeff: 2 } as const;
  const positions = { category: 'POSITIONAL_EMBEDDING', opName: 'p' } as const;
  const nameOf = (param: Parameters<typeof CommonOpBuilderManager.getBuilder>[0]): string =>
    CommonOpBuilderManager.getBuilder(param).name;

  it('is chosen by a param of its own, and leaves the first alone', () => {
    expect(nameOf({ ...rope, ropeType: 'test_pairs' })).to.equal(RopeOfPairs.name);
    expect(nameOf(rope)).to.equal('Rope2d');
    expect(nameOf({ ...positions, embeddingType: 'test_slopes' })).to.equal(Slopes.name);
    expect(nameOf(positions)).to.equal('PositionalEmbedding');
  });
});
