import { expect } from 'chai';
import { AtbError } from '../src/errors.js';
import { pullModel } from '../src/hub/index.js';
import * as lib from '../src/index.js';
import { serveModel } from '../src/server/index.js';

/*
 * Whoever calls the package's tools from JavaScript, or with JSON out of a file, reads which argument of which call
 * must be what, and how to come by it, instead of a TypeError from within.
 */

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof AtbError) return error.message;
    throw error;
  }
  return 'nothing was thrown';
}

const add = new lib.BaseOperation('Elewise', { elewiseType: 'ELEWISE_ADD' }, 'add');
const SUM = (() => {
  const graph = new lib.AtbGraph('sum');
  graph.addInputOutput({ input: ['a', 'b'], output: ['c'] });
  graph.addOperation(add, ['a', 'b'], ['c']);
  return graph.build();
})();
/** The graph as it comes out of a file, with other words. */
const sumWith = (changes: object): lib.GraphSpec => ({ ...JSON.parse(JSON.stringify(SUM)), ...changes });
const nodeWith = (changes: object): lib.GraphSpec => sumWith({ nodes: [{ ...SUM.nodes[0], ...changes }] });
const DESC = { dtype: 'f32', shape: [2] } as const;
const INPUTS = new Map([
  ['a', DESC],
  ['b', DESC],
]);
const ref = lib.constantWeight('w', [4, 2], 1);
const nonsense = <T>(value: unknown): T => value as T;

describe('arguments of what the package exports', () => {
  const table = () => new lib.BlockTable();
  const manager = () => new lib.BlockManager({ numBlocks: 4, blockSize: 2 });
  const REFUSED: readonly [what: string, call: () => unknown, message: RegExp][] = [
    [
      'no graph',
      () => lib.flatten(nonsense(undefined), INPUTS),
      /^ARGUMENT_INVALID: flatten: the graph must be a GraphSpec, as build\(\) of an AtbGraph gives it, found nothing$/,
    ],
    [
      'an AtbGraph for its spec',
      () => lib.flatten(nonsense(new lib.AtbGraph('g')), INPUTS),
      /flatten: the graph must be a GraphSpec, as build\(\) of an AtbGraph gives it, found \{/,
    ],
    [
      'inputs as an object',
      () => lib.flatten(SUM, nonsense({ a: DESC })),
      /the inputs must be a Map of names to \{ dtype, shape \}, found \{"a"/,
    ],
    [
      'an input of an unknown dtype',
      () =>
        lib.flatten(
          SUM,
          new Map([
            ['a', nonsense({ dtype: 'float', shape: [2] })],
            ['b', DESC],
          ]),
        ),
      /the input a must be \{ dtype, shape \} with a dtype of f32, .*found \{"dtype":"float"/,
    ],
    [
      'a node without inputs',
      () => lib.flatten(nodeWith({ inputs: undefined }), INPUTS),
      /inputs of node 0 of the graph must be a list of texts, found nothing/,
    ],
    [
      'a node with an input too few',
      () => lib.flatten(nodeWith({ inputs: ['a'] }), INPUTS),
      /GRAPH_ARITY_MISMATCH: sum: "add" takes 2 input tensors, found 1/,
    ],
    [
      'a node of no operation',
      () => lib.flatten(nodeWith({ op: { type: 'Elewize', param: {} } }), INPUTS),
      /GRAPH_OP_UNKNOWN: no operation "Elewize"; nearest: Elewise/,
    ],
    [
      'views that show each other',
      () =>
        lib.flatten(
          sumWith({ views: { v: { source: 'w', shape: [] }, w: { source: 'v', shape: [] } } }),
          INPUTS,
        ),
      /GRAPH_VIEW_INVALID: sum: view "v" shows itself/,
    ],
    [
      'a graph for a flat one',
      () => lib.legalityProblems(nonsense(SUM)),
      /legalityProblems: inputs of the graph must be an object/,
    ],
    [
      'no flat graph to write',
      () => lib.formatFlatGraph(nonsense(null)),
      /formatFlatGraph: the graph must be a FlatGraph, as flatten\(…\)\.graph is one, found null/,
    ],
    [
      'a selection that is none',
      () => lib.applyPasses(SUM, nonsense({})),
      /applyPasses: the selection must be all, none or a list of names of passes/,
    ],
    [
      'no definition',
      () => lib.registerOp(nonsense<never>(undefined)),
      /registerOp: the definition must be an object, found nothing/,
    ],
    [
      'a graph without a name',
      () => new lib.AtbGraph(nonsense(undefined)),
      /new AtbGraph: opName must be a text, found nothing/,
    ],
    [
      'inputs that are no list',
      () => new lib.AtbGraph('g').addInputOutput(nonsense({ input: 'a', output: [] })),
      /AtbGraph\.addInputOutput: input must be a list of texts, found "a"/,
    ],
    [
      'an operation that is none',
      () => new lib.AtbGraph('g').addOperation(nonsense<never>({ type: 'Linear' }), [], []),
      /the operation must be a BaseOperation or a GraphSpec, as build\(\) .*found \{"type":"Linear"\}/,
    ],
    [
      'sizes that are none',
      () => new lib.AtbGraph('g').addReshape('a', 'v', nonsense([null])),
      /AtbGraph\.addReshape: the shape must be a list of numbers and of dim\(…\)/,
    ],
    [
      'no numbers of blocks',
      () => new lib.BlockManager(nonsense(undefined)),
      /new BlockManager: \{ numBlocks, blockSize \} must be an object, found nothing/,
    ],
    [
      'more blocks than there can be',
      () => new lib.BlockManager({ numBlocks: 2 ** 40, blockSize: 2 }),
      /numBlocks must be an integer from 1 to 2147483647, found 1099511627776/,
    ],
    [
      'a list for a table',
      () => manager().grow(nonsense([]), 1),
      /BlockManager\.grow: the table must be a BlockTable, which new BlockTable\(\) makes, found \[\]/,
    ],
    [
      'tokens that are no number',
      () => manager().grow(table(), Number.NaN),
      /BlockManager\.grow: tokens must be an integer of at least 0, found NaN/,
    ],
    [
      'a block that a table lacks',
      () => manager().own(table(), 3),
      /BlockManager\.own: index must be below 0, the table's blocks, found 3/,
    ],
    [
      'more tokens than there are',
      () => manager().publish(table(), [1, 2], 2),
      /BlockManager\.publish: cachedLen must be an integer of at most 0/,
    ],
    [
      'sizes that are no list',
      () => lib.consecutiveRows(nonsense(4)),
      /consecutiveRows: the sizes must be a list of integers of at least 1, found 4/,
    ],
    [
      'heads of nothing',
      () => lib.groupedRows({ groups: 0, headsPerGroup: [1], headDim: 4 }),
      /groupedRows: groups must be an integer of at least 1, found 0/,
    ],
    [
      'heads that do not pair',
      () => lib.rotaryRowOrder({ heads: 1, headDim: 4, rotaryDim: 3, interleaved: false }),
      /rotaryRowOrder: rotaryDim must be an even number within a head of 4, found 3/,
    ],
    [
      'a name for a weight',
      () => lib.times(nonsense('w'), 2),
      /times: its argument must be a weight, as Weights\.get gives it, found "w"/,
    ],
    [
      'a list for an order',
      () => lib.withRowOrder(ref, nonsense([1, 0])),
      /withRowOrder: the order must be an Int32Array, found \[1,0\]/,
    ],
    [
      'nothing to put together',
      () => lib.concatRows('w', nonsense([])),
      /concatRows: the weights must be a list of weights.*at least one, found \[\]/,
    ],
    [
      'no weights',
      () => lib.Linear.load(nonsense(undefined), { parts: [{ name: 'q', outFeatures: 1 }], inFeatures: 1 }),
      /Linear\.load: the weights must be Weights, as `\(await Checkpoint\.open\(directory\)\)\.weights\(\)` gives them/,
    ],
    [
      'values as a list',
      () => lib.toDType(nonsense([1]), [1], 'f16'),
      /toDType: the values must be a Float32Array, found \[1\]/,
    ],
    [
      'no size of a vocabulary',
      () => lib.resolveSamplingParams({}, nonsense({})),
      /resolveSamplingParams: context\.vocabSize must be an integer of at least 1, found nothing/,
    ],
    [
      'no blocks',
      () =>
        new lib.Scheduler(
          { maxBatchSize: 1, maxPrefillTokens: 8, maxModelLen: 8, chunkedPrefill: true },
          nonsense({}),
        ),
      /new Scheduler: the blocks must be a BlockManager, which new BlockManager/,
    ],
    [
      'a directory for a model',
      () => new (nonsense<new (dir: string) => unknown>(lib.LLM))('models/mine'),
      /new LLM: its argument must be what LLM\.load opens; call `await LLM\.load\(directory\)`, found "models\/mine"/,
    ],
    [
      'nothing for a router',
      () => new (lib.getRouter('llama'))(nonsense(undefined), {}),
      /modelPath must be a text, found nothing/,
    ],
    [
      'no weights for a norm',
      () => new lib.BaseRMSNorm(nonsense(undefined), 4, 1e-5),
      /new BaseRMSNorm: the weights must be Weights, as `\(await Checkpoint/,
    ],
    [
      'weights in the place of the layer',
      () => new lib.RotaryAttention(nonsense({}), nonsense(undefined), nonsense(undefined)),
      /new RotaryAttention: config must be a configuration.*found nothing/,
    ],
    [
      'no configuration of experts',
      () => new lib.Experts(nonsense(null), nonsense({})),
      /new Experts: config must be a configuration.*found null/,
    ],
    [
      'no fields',
      () => lib.defineConfig(nonsense({})),
      /defineConfig: the definition must be \{ fields, irrelevant\? \}.*found \{\}/,
    ],
    [
      'an object for the class of a builder',
      () => lib.registerCommonOpBuilder(nonsense<never>({ isMatch: () => true, build: () => {} })),
      /registerCommonOpBuilder: the builder must be a class of an OpBuilder, with isMatch and build/,
    ],
    [
      'a folder to serve',
      () => serveModel('mine', nonsense<never>('models/mine')),
      /serveModel: the model must be what LLM\.load, EmbeddingModel\.load or Reranker\.load gives, found "models/,
    ],
    [
      'steps between patches that lead nowhere',
      () => lib.gridPositions(4, -1),
      /patchOrder: mergeSize must be an integer of at least 1, found -1/,
    ],
    [
      'a template that is none',
      () => lib.answerFormat(nonsense(undefined)),
      /answerFormat: the template must be a text, found nothing/,
    ],
  ];
  for (const [what, call, message] of REFUSED)
    it(`are refused by name: ${what}`, () => expect(messageOf(call)).to.match(message));

  it('are refused by name where a promise tells it', async () => {
    const CALLS: readonly [call: () => Promise<unknown>, message: RegExp][] = [
      [
        () => lib.Checkpoint.open(nonsense(undefined)),
        /Checkpoint\.open: modelDirectory must be a path, a text that is not empty, found nothing/,
      ],
      [() => pullModel('org/name', nonsense(null)), /the hub: options must be an object, found null/],
      [() => lib.HfTokenizer.load(nonsense(5)), /HfTokenizer\.load: the directory must be a path.*found 5/],
      [
        () => lib.ModelRunner.load(nonsense<never>({}), nonsense<never>({})),
        /ModelRunner\.load: the model must be an open model, as `await openModel/,
      ],
      [
        () => add.forward(nonsense(null)),
        /forward of add: the inputs must be an object of tensors by name, found null/,
      ],
      [
        () => add.forward({ in0: nonsense({ dtype: 'f32', shape: [1], data: [1] }) }),
        /data of "in0", f32 must be a Float32Array, found \[1\]/,
      ],
    ];
    for (const [call, message] of CALLS)
      expect(
        await call().then(
          () => 'nothing',
          (error: Error) => error.message,
        ),
      ).to.match(message);
  });

  /** Of what is exported by name; helpers of layers and of pictures, which models are made of, are left to types. */
  it('never end in another error than ours', () => {
    const values = [undefined, null, {}, [], 'x', -1, Number.NaN, true, 10n, [null]];
    const tools = [
      'flatten',
      'formatFlatGraph',
      'legalityProblems',
      'specProblems',
      'nestedExport',
      'problemText',
      'applyPasses',
      'consecutiveRows',
      'groupedRows',
      'rotaryRowOrder',
      'concatRows',
      'unreadTensors',
      'expertOf',
      'inF32',
      'named',
      'plus',
      'rowsOf',
      'times',
      'transposed',
      'unitRows',
      'toDType',
      'mergeSampling',
      'resolveSamplingParams',
      'answerReader',
      'getRouter',
      'defineConfig',
      'registerCommonOpBuilder',
    ] as const;
    const classes = [
      'AtbGraph',
      'BaseOperation',
      'BlockManager',
      'BlockTable',
      'Checkpoint',
      'ChatSession',
      'EmbeddingModel',
      'HfTokenizer',
      'LLM',
      'LLMEngine',
      'Linear',
      'ModelRunner',
      'OutputText',
      'PARunner',
      'Postprocessor',
      'Reranker',
      'Scheduler',
      'Sequence',
      'Weights',
      'FlashLlamaForCausalLMATB',
      'BaseModelATB',
      ...(['BaseAttention', 'RotaryAttention', 'NormedRotaryAttention', 'PositionFreeAttention'] as const),
      ...(['BaseMLP', 'UngatedMLP', 'BaseRMSNorm', 'OffsetRMSNorm', 'BaseLayerNorm'] as const),
      ...(['ExpertRouter', 'Experts', 'BaseLayer', 'PreNormLayer'] as const),
    ] as const;
    for (const first of values)
      for (const second of values) {
        for (const name of tools)
          messageOf(() => nonsense<(...given: unknown[]) => unknown>(lib[name])(first, second));
        for (const name of classes)
          messageOf(() => new (nonsense<new (...given: unknown[]) => unknown>(lib[name]))(first, second));
      }
  });
});
