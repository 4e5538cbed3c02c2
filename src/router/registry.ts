import { describeValue } from '../describe-value.js';
import { AtbError } from '../errors.js';
import type { ConfigDict } from '../layers/config/index.js';
import { type ArgumentKind, requireArgument, TEXTS } from '../require-argument.js';
import { familyOf, MODEL_TYPE_ALIASES, NOT_BUILT } from './aliases.js';
import type { RouterClass } from './base-router.js';

const routers = new Map<string, RouterClass>();

const ROUTER: ArgumentKind = {
  expected: 'a class that extends BaseRouter, as routerOf(Model, CONFIG) makes one',
  holds: (value) => typeof value === 'function',
};

/** Makes a router known under one or several `model_type`s. Throws ROUTER_DUPLICATE_MODEL. */
export function registerModel(modelTypes: string | readonly string[], router: RouterClass): void {
  const types = typeof modelTypes === 'string' ? [modelTypes] : modelTypes;
  requireArgument('registerModel', 'model types', TEXTS, types);
  requireArgument('registerModel', 'the router', ROUTER, router);
  for (const modelType of types) {
    if (routers.has(modelType) || MODEL_TYPE_ALIASES.has(modelType)) {
      throw new AtbError('ROUTER_DUPLICATE_MODEL', { modelType });
    }
  }
  for (const modelType of types) routers.set(modelType, router);
}

/** `@RegisterRouter('llama')` above a router class. */
export const RegisterRouter =
  (...modelTypes: [string, ...string[]]) =>
  (router: RouterClass): void =>
    registerModel(modelTypes, router);

export const knownModelTypes = (): string[] => [...routers.keys()].sort();

/** Whether there is a router of a `model_type` by now. */
export const isKnownModelType = (modelType: unknown): boolean =>
  typeof modelType === 'string' && routers.has(familyOf(modelType));

/** Whether a value is a router that is known. */
export const isRouter = (value: unknown): boolean => [...routers.values()].some((router) => router === value);

/**
 * What config.json says, with the `model_type` of what its architectures are called where it has none, as code that was
 * published beside a checkpoint need not have: "MiniCPM3ForCausalLM" is of minicpm3.
 */
export function withModelType(dict: ConfigDict): ConfigDict {
  const { model_type, architectures } = dict;
  const [architecture] = Array.isArray(architectures) ? architectures : [];
  if ((model_type !== undefined && model_type !== null) || typeof architecture !== 'string') return dict;
  const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');
  const family = plain(architecture.replace(HEADS_OF_CLASSES, ''));
  const found = [...knownModelTypes(), ...MODEL_TYPE_ALIASES.keys()].find((type) => plain(type) === family);
  return found === undefined ? dict : { ...dict, model_type: found };
}

/** What a class of transformers is called behind its family: what it computes. */
const HEADS_OF_CLASSES = /(For[A-Z][A-Za-z]*|LMHeadModel|Model)$/;

/** The router of a `model_type`, which is only ever looked up. Throws ROUTER_UNKNOWN_MODEL. */
export function getRouter(modelType: unknown): RouterClass {
  const named = typeof modelType === 'string' ? modelType : undefined;
  const router = named === undefined ? undefined : routers.get(familyOf(named));
  if (router) return router;
  const known = knownModelTypes();
  if (modelType === undefined || modelType === null)
    throw new AtbError('ROUTER_UNKNOWN_MODEL', { modelType: undefined, known });
  const nearest = named === undefined ? undefined : nearestType(named, known);
  const shown = named !== undefined && named.length <= 100 ? named : describeValue(modelType);
  const reason = named === undefined ? undefined : NOT_BUILT.get(named);
  throw new AtbError('ROUTER_UNKNOWN_MODEL', { modelType: shown, known, nearest, reason });
}

/**
 * The known type that a misspelt one means. Types that differ by a letter or a digit are other architectures (llava and
 * llama, ministral and mistral, qwen2 and qwen3), whose weights would fail or, worse, run: only case, separators and
 * repeated characters are a slip.
 */
function nearestType(named: string, known: readonly string[]): string | undefined {
  const plain = (text: string): string =>
    text
      .toLowerCase()
      .replace(/[^a-z0-9]/g, '')
      .replace(/(.)\1+/g, '$1');
  return known.find((candidate) => plain(candidate) === plain(named));
}
