import type { FloatDType } from '../dtype.js';
import { refuseRequest } from '../errors.js';
import type { GraphSpec } from '../graph/atb-graph.js';
import type { GraphKind } from '../graph/graph-kind.js';
import { isObject } from '../is-object.js';
import type { BaseConfig } from '../layers/config/index.js';
import type { NativeEngine } from '../native/index.js';
import { type ArgumentKind, requireArgument } from '../require-argument.js';
import type { PrefixFacts } from '../step-inputs/index.js';
import type { Profiler } from './profiler.js';
import type { ServedInputs } from './served-inputs.js';
import type { ShownPlaces } from './shown-places.js';

/** What a runner holds once its model is loaded. */
export interface LoadedModel {
  readonly config: BaseConfig;
  readonly dtype: FloatDType;
  readonly blockSize: number;
  readonly numBlocks: number;
  readonly blockBytes: number;
  readonly loadMs: number;
  readonly profiler: Profiler | undefined;
  /** Settles when what the option `weightsCache` is to keep is written, or could not be. */
  readonly weightsKept: Promise<void>;
  readonly engine: NativeEngine;
  /** Of models that keep what is shown beside sequences. */
  readonly shownPlaces: ShownPlaces | undefined;
  readonly inputs: ServedInputs;
  readonly graphs: ReadonlyMap<GraphKind, GraphSpec>;
  readonly graphIds: ReadonlyMap<GraphKind, number>;
  readonly prefixes: PrefixFacts;
  /** Names of LoRA adapters, in the order in which steps number them. */
  readonly adapters: readonly string[];
  readonly onPlan: (kind: GraphKind, reason: string) => void;
}

const LOADED: ArgumentKind = {
  expected: 'what ModelRunner.load puts on an engine; call `await ModelRunner.load(options)`',
  holds: (value) => isObject(value) && isObject(value.config),
};

/** @throws ARGUMENT_INVALID */
export function requireLoaded(found: LoadedModel): LoadedModel {
  requireArgument('new ModelRunner', 'its argument', LOADED, found);
  return found;
}

/** @throws REQUEST_INVALID for a graph that the model has not */
export function graphIdOf(
  { config, graphIds }: Pick<LoadedModel, 'config' | 'graphIds'>,
  kind: GraphKind,
): number {
  const id = graphIds.get(kind);
  if (id !== undefined) return id;
  const kinds = [...graphIds.keys()].map(({ name }) => name).join(', ');
  return refuseRequest('kind', `a graph that ${config.modelType} has: ${kinds}`, kind.name);
}
