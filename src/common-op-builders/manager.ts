import { container, injectable, Lifecycle } from '../di.js';
import { AtbError } from '../errors.js';
import type { AtbGraph } from '../graph/atb-graph.js';
import { isObject } from '../is-object.js';
import { type ArgumentKind, OBJECT, requireArgument } from '../require-argument.js';
import type { BuilderParam, BuilderTensors, Category, OpBuilder, ParamOf } from './types.js';

const OP_BUILDER = Symbol.for('atb-models.CommonOpBuilder');

/** One that is none would be asked for every operation of every model from then on. */
const BUILDER: ArgumentKind = {
  expected: 'a class of an OpBuilder, with isMatch and build',
  holds: (value) =>
    typeof value === 'function' && ['isMatch', 'build'].every((name) => isCallable(value, name)),
};
const isCallable = (of: { prototype?: unknown }, name: string): boolean =>
  isObject(of.prototype) && typeof of.prototype[name] === 'function';

type BuilderClass<C extends Category> = new (...args: never[]) => OpBuilder<C>;

/** What `getBuilder` returns: the builder with its param. */
export interface BoundBuilder<C extends Category> {
  /** Name of the class that matched. */
  readonly name: string;
  build(graph: AtbGraph, tensors: BuilderTensors[C]): void;
}

/** Makes a builder class known; `@CommonOpBuilder()` does the same. Its constructor's dependencies are injected. */
export function registerCommonOpBuilder<C extends Category>(builder: BuilderClass<C>): void {
  requireArgument('registerCommonOpBuilder', 'the builder', BUILDER, builder);
  injectable()(builder as new (...args: never[]) => object);
  container.register(
    OP_BUILDER,
    { useClass: builder as new (...args: unknown[]) => object },
    { lifecycle: Lifecycle.Singleton },
  );
}

/** Registers the class as a builder of operations. */
export const CommonOpBuilder =
  () =>
  <C extends Category>(builder: BuilderClass<C>): void =>
    registerCommonOpBuilder(builder);

/** Finds the one builder that accepts a param. Order never matters: two that accept are an error. */
// biome-ignore lint/complexity/noStaticOnlyClass: MindIE's name and form; the registry itself is tsyringe's
export class CommonOpBuilderManager {
  /** Throws BUILDER_NOT_FOUND with each candidate's reason, and BUILDER_AMBIGUOUS. */
  static getBuilder<P extends BuilderParam>(param: P): BoundBuilder<P['category']> {
    requireArgument('CommonOpBuilderManager.getBuilder', 'the param', OBJECT, param);
    const { category, opName, owner = 'DEFAULT' } = param;
    const candidates = container
      .resolveAll<OpBuilder>(OP_BUILDER)
      .filter((builder) => builder.category === category && (builder.owner ?? 'DEFAULT') === owner)
      .map((builder) => ({
        builder,
        name: builder.constructor.name,
        answer: builder.isMatch(param as never),
      }));
    const [found, ...others] = candidates.filter(({ answer }) => answer === true);
    if (found === undefined) {
      const refusals = candidates.map(({ name, answer }) => `${name} ${answer}`);
      throw new AtbError('BUILDER_NOT_FOUND', { category, opName, refusals });
    }
    if (others.length > 0) {
      const builders = [found, ...others].map(({ name }) => name);
      throw new AtbError('BUILDER_AMBIGUOUS', { category, opName, builders });
    }
    const builder = found.builder as OpBuilder<P['category']>;
    return {
      name: found.name,
      build: (graph, tensors) => builder.build(graph, param as ParamOf<P['category']>, tensors),
    };
  }
}
