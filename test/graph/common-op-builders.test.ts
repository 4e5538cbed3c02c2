import { expect } from 'chai';
import {
  type BuilderParam,
  CommonOpBuilder,
  CommonOpBuilderManager,
  type OpBuilder,
  type ParamOf,
  registerCommonOpBuilder,
  SINGLE_RANK,
  type TensorParallelInfo,
} from '../../src/common-op-builders/index.js';
import { inject, injectable } from '../../src/di.js';
import type { FloatDType } from '../../src/dtype.js';
import { AtbError } from '../../src/errors.js';
import { AtbGraph, BaseOperation, type GraphSpec } from '../../src/graph/atb-graph.js';
import { Linear } from '../../src/weights/linear.js';
import type { LinearPart } from '../../src/weights/linear-part.js';
import { type LinearQuant, type QuantizeMode, quantizationPlan } from '../../src/weights/quantization.js';
import { declaredWeights, Weights } from '../../src/weights/weights.js';

function linear(hasBias = false, part: LinearPart = { name: 'proj', outFeatures: 6 }): Linear {
  return Linear.load(declaredWeights('bf16'), { parts: [part], inFeatures: 8, hasBias });
}
const [one, two, three] = ['a', 'b', 'c'].map((name) => linear(false, { name, outFeatures: 6 })) as [
  Linear,
  Linear,
  Linear,
];
const TWO_RANKS: TensorParallelInfo = { ...SINGLE_RANK, worldSize: 2 };

/** The graph that a param becomes: `ops` as "Type(inputs) -> outputs". */
function build<P extends BuilderParam>(
  param: P,
  tensors: Record<string, string>,
  input: string[],
  output: string[],
) {
  const graph = new AtbGraph('g');
  graph.addInputOutput({ input, output });
  const builder = CommonOpBuilderManager.getBuilder(param);
  (builder.build as (graph: AtbGraph, tensors: object) => void)(graph, tensors);
  const spec = graph.build();
  return { name: builder.name, ops: spec.nodes.map(line), spec };
}
const line = ({ op, inputs, outputs }: GraphSpec['nodes'][number]): string =>
  `${'type' in op ? op.type : ''}(${inputs}) -> ${outputs}`;
const paramsOf = (spec: GraphSpec) => spec.nodes.map(({ op }) => ('type' in op ? op.param : {}));

function failure(param: BuilderParam): AtbError {
  try {
    CommonOpBuilderManager.getBuilder(param);
  } catch (error) {
    if (error instanceof AtbError) return error;
  }
  throw new Error('nothing was thrown');
}

describe('builders of linears', () => {
  it('make one Linear of packed weights, with the bias when there is one', () => {
    const { name, ops } = build(
      { category: 'LINEAR', opName: 'l', linear: linear(true) },
      { input: 'x', linearOut: 'y' },
      ['x', 'proj.weight', 'proj.bias'],
      ['y'],
    );
    expect([name, ...ops]).to.deep.equal(['FpLinear', 'Linear(x,proj.weight,proj.bias) -> y']);
  });

  const quantized = (quantize: QuantizeMode, dtype: FloatDType = 'bf16', hasBias = true) =>
    Linear.load(declaredWeights(dtype, quantizationPlan({ quantize })), {
      parts: [{ name: 'p', outFeatures: 6 }],
      inFeatures: 128,
      hasBias,
    });

  it('multiply by integers of 8 or 4 bits with their scales and offsets', () => {
    const names = ['x', 'p.weight', 'p.weight_scale', 'p.weight_offset', 'p.bias'];
    const expected = { transposeB: true, hasBias: true };
    for (const [mode, type, quantGroupSize, hint] of [
      ['w8a16', 'W8A16MatMul', 0, {}],
      ['w4a16', 'W4A16MatMul', 64, {}],
      ['w4a8_dynamic', 'W4A16MatMul', 64, { int8Activations: true }],
    ] as const) {
      const param = { category: 'LINEAR', opName: 'l', linear: quantized(mode) } as const;
      const { name, ops, spec } = build(param, { input: 'x', linearOut: 'y' }, names, ['y']);
      expect([name, ...ops]).to.deep.equal(['ACLNNQuantBatchLinear', `${type}(${names}) -> y`]);
      expect(paramsOf(spec)).to.deep.equal([{ ...expected, quantGroupSize }]);
      expect(spec.nodes[0]?.hint).to.deep.equal({ symmetric: true, ...hint });
    }
  });

  it('divide and order what integers read, where the files say so', () => {
    const declared = (name: string, shape: readonly number[]) => ({
      name,
      dtype: 'f32' as const,
      shape,
      parts: [],
    });
    const quant: LinearQuant = {
      desc: 'W4A16',
      groupSize: 32,
      channels: Int32Array.from({ length: 128 }, (_, i) => 127 - i),
      rows: (_, { outFeatures, inFeatures }) => ({
        weight: declared('w', [outFeatures, inFeatures]),
        scale: declared('s', [outFeatures, 4]),
        offset: declared('o', [outFeatures, 4]),
        divisors: declared('act.scales', [inFeatures]),
      }),
    };
    const source = { label: 'files', has: () => false, find: declared, quantOf: () => quant };
    const linear = Linear.load(new Weights(source, '', { dtype: 'bf16' }), {
      parts: [{ name: 'p', outFeatures: 6 }],
      inFeatures: 128,
    });
    const param = { category: 'LINEAR', opName: 'l', linear } as const;
    const names = linear.getWeights().map(({ name }) => name);
    const { ops, spec } = build(param, { input: 'x', linearOut: 'y' }, ['x', ...names], ['y']);
    expect(ops).to.deep.equal([
      'Elewise(x,p.input_divisors) -> l_divided',
      'Gather(l_divided,p.channel_order) -> l_sorted',
      'W4A16MatMul(l_sorted,p.weight,p.weight_scale,p.weight_offset) -> y',
    ]);
    expect(spec.nodes.at(-1)?.hint).to.deep.equal({ packedOffsets: true });
  });

  it('quantise each token before integers are multiplied with integers', () => {
    for (const dtype of ['bf16', 'f16'] as const) {
      const param = { category: 'LINEAR', opName: 'l', linear: quantized('w8a8_dynamic', dtype) } as const;
      const names = ['x', 'p.weight', 'p.weight_scale', 'p.bias'];
      const { name, ops, spec } = build(param, { input: 'x', linearOut: 'y' }, names, ['y']);
      expect([name, ...ops]).to.deep.equal([
        'W8A8DynamicLinear',
        'DynamicQuant(x) -> l_int8,l_token_scale',
        'W8A8MatMul(l_int8,p.weight,p.weight_scale,l_token_scale,p.bias) -> y',
      ]);
      expect(paramsOf(spec)[1]).to.deep.equal({
        transposeB: true,
        hasBias: true,
        isBF16: dtype === 'bf16',
        hasPerTokenScale: true,
      });
    }
  });

  it('leave integers out of LinearParallel, which multiplies floats', () => {
    const builder = (linear: Linear) =>
      CommonOpBuilderManager.getBuilder({
        category: 'LINEAR_PARALLEL',
        opName: 'l',
        linear,
        parallelType: 'ALL_REDUCE',
        parallelInfo: TWO_RANKS,
        enableLcoc: true,
      }).name;
    expect(builder(one)).to.equal('LCOCLinearParallel');
    expect(builder(quantized('w8a16', 'bf16', false))).to.equal('AllReduceLinearParallel');
  });

  const parallel = (
    parallelType: 'ALL_REDUCE' | 'ALL_GATHER',
    parallelInfo: TensorParallelInfo,
    enableLcoc = false,
  ) =>
    build(
      { category: 'LINEAR_PARALLEL', opName: 'l', linear: one, parallelType, parallelInfo, enableLcoc },
      { input: 'x', linearOut: 'y' },
      ['x', 'a.weight'],
      ['y'],
    );

  it('pass through on one rank', () => {
    for (const type of ['ALL_REDUCE', 'ALL_GATHER'] as const) {
      expect(parallel(type, SINGLE_RANK, true).ops).to.deep.equal(['Linear(x,a.weight) -> y']);
    }
  });

  it('sum or gather over several ranks', () => {
    expect(parallel('ALL_REDUCE', TWO_RANKS).ops).to.deep.equal([
      'Linear(x,a.weight) -> y_partial',
      'AllReduce(y_partial) -> y',
    ]);
    const gathered = parallel('ALL_GATHER', TWO_RANKS);
    expect(gathered.ops).to.deep.equal([
      'Linear(x,a.weight) -> y_partial',
      'AllGather(y_partial) -> y_gathered',
      'Transpose(y_gathered) -> y_by_token',
    ]);
    expect(gathered.spec.views).to.deep.equal({
      y: { source: 'y_by_token', shape: [{ axes: [0] }, { axes: [1, 2] }] },
    });
  });

  it('overlap matmul and sum where the backend can', () => {
    const { name, ops, spec } = parallel('ALL_REDUCE', TWO_RANKS, true);
    expect([name, ...ops]).to.deep.equal(['LCOCLinearParallel', 'LinearParallel(x,a.weight) -> y']);
    expect(paramsOf(spec)).to.deep.equal([
      { backend: 'lcoc', rank: 0, rankSize: 2, rankTableFile: '', transWeight: true },
    ]);
    expect(parallel('ALL_REDUCE', { ...TWO_RANKS, backend: 'hccl' }, true).name).to.equal(
      'AllReduceLinearParallel',
    );
  });
});

describe('builders of q, k and v', () => {
  const qkv = (
    linears: readonly [Linear] | readonly [Linear, Linear, Linear],
    headNum: number,
    kvHeadNum: number,
  ) =>
    build(
      { category: 'QKV', opName: 'qkv', linears, headNum, kvHeadNum, headDim: 2 },
      { input: 'x', qOut: 'q', kOut: 'k', vOut: 'v' },
      ['x', ...linears.flatMap((l) => l.weightNames())],
      ['q', 'k', 'v'],
    );

  it('cut one product in equal parts, or by head counts', () => {
    const mha = qkv([one], 2, 2);
    expect([mha.name, ...mha.ops]).to.deep.equal([
      'MhaPack',
      'Linear(x,a.weight) -> qkv_mixed',
      'Split(qkv_mixed) -> q,k,v',
    ]);
    expect(paramsOf(mha.spec)[1]).to.deep.equal({ splitDim: 1, splitNum: 3 });
    const gqa = qkv([one], 4, 1);
    expect(gqa.name).to.equal('GqaPack');
    expect(paramsOf(gqa.spec)[1]).to.deep.equal({ splitDim: 1, splitNum: 3, splitSizes: [8, 2, 2] });
  });

  it('make three products of weights that are not packed', () => {
    const { name, ops } = qkv([one, two, three], 4, 1);
    expect([name, ...ops]).to.deep.equal([
      'NoPack',
      'Linear(x,a.weight) -> q',
      'Linear(x,b.weight) -> k',
      'Linear(x,c.weight) -> v',
    ]);
  });
});

describe('builders of gates and activations', () => {
  const activation = (kind: 'silu' | 'gelu' | 'gelu_tanh', isGated: boolean, isPack: boolean) =>
    build(
      { category: 'ACTIVATION', opName: 'act', kind, isGated, isPack },
      isGated && !isPack ? { gate: 'x', up: 'u', actOut: 'y' } : { input: 'x', actOut: 'y' },
      isGated && !isPack ? ['x', 'u'] : ['x'],
      ['y'],
    );

  it('make silu(gate) * up one operation', () => {
    expect(activation('silu', true, true).ops).to.deep.equal(['Activation(x) -> y']);
    expect(activation('silu', true, false).ops).to.deep.equal([
      'Concat(x,u) -> act_gate_up',
      'Activation(act_gate_up) -> y',
    ]);
    expect(activation('silu', false, true).name).to.equal('Swish');
  });

  it('split, activate and multiply for gelu, exact or by tanh', () => {
    const { ops, spec } = activation('gelu_tanh', true, true);
    expect(ops).to.deep.equal([
      'Split(x) -> act_gate,act_up',
      'Activation(act_gate) -> act_gate_act',
      'Elewise(act_gate_act,act_up) -> y',
    ]);
    expect(paramsOf(spec)[1]).to.deep.equal({ activationType: 'ACTIVATION_GELU', geluMode: 'TANH_MODE' });
    expect(activation('gelu', true, false).ops).to.deep.equal([
      'Activation(x) -> act_gate_act',
      'Elewise(act_gate_act,u) -> y',
    ]);
    expect(paramsOf(activation('gelu', false, true).spec)[0]).to.deep.include({ geluMode: 'NONE_MODE' });
  });

  it('make one or two products of gate and up', () => {
    const packed = build(
      { category: 'GATE_UP', opName: 'gu', linears: [one] },
      { input: 'x', gateUpOut: 'g' },
      ['x', 'a.weight'],
      ['g'],
    );
    expect([packed.name, ...packed.ops]).to.deep.equal(['GateUpPack', 'Linear(x,a.weight) -> g']);
    const apart = build(
      { category: 'GATE_UP', opName: 'gu', linears: [one, two] },
      { input: 'x', gateOut: 'g', upOut: 'u' },
      ['x', 'a.weight', 'b.weight'],
      ['g', 'u'],
    );
    expect(apart.ops).to.deep.equal(['Linear(x,a.weight) -> g', 'Linear(x,b.weight) -> u']);
  });
});

describe('builders of norms', () => {
  const norm = (extra: object, tensors: object, input: string[], output = ['y']) =>
    build(
      {
        category: 'NORM',
        opName: 'n',
        normType: 'RmsNorm',
        epsilon: 1e-5,
        weight: 'w',
        enableAddNorm: false,
        ...extra,
      } as BuilderParam,
      { input: 'x', normOut: 'y', ...tensors },
      input,
      output,
    );

  it('normalise, or add and normalise', () => {
    expect(norm({}, {}, ['x', 'w']).ops).to.deep.equal(['RmsNorm(x,w) -> y']);
    const added = norm(
      { enableAddNorm: true },
      { residualInput: 'r', addOut: 's' },
      ['x', 'w', 'r'],
      ['y', 's'],
    );
    expect(added.ops).to.deep.equal(['RmsNorm(x,r,w) -> y,s']);
    expect(paramsOf(added.spec)[0]).to.deep.equal({
      layerType: 'RMS_NORM_PRENORM',
      preNormParam: { epsilon: 1e-5, hasBias: false },
    });
  });

  it('give LayerNorm its bias', () => {
    const layer = { normType: 'LayerNorm', bias: 'b' };
    expect(norm(layer, {}, ['x', 'w', 'b']).ops).to.deep.equal(['LayerNorm(x,w,b) -> y']);
    const added = norm(
      { ...layer, enableAddNorm: true },
      { residualInput: 'r', addOut: 's' },
      ['x', 'w', 'b', 'r'],
      ['y', 's'],
    );
    expect(added.ops).to.deep.equal(['LayerNorm(x,r,w,b) -> y,s']);
  });
});

describe('builders of embeddings and heads', () => {
  it('gather rows, and gather columns over ranks', () => {
    const tensors = { embeddingWeights: 'w', inputIds: 'ids', wordEmbeddingOut: 'h' };
    const word = (parallelInfo: TensorParallelInfo) =>
      build({ category: 'WORD_EMBEDDING', opName: 'e', parallelInfo }, tensors, ['w', 'ids'], ['h']);
    expect(word(SINGLE_RANK).ops).to.deep.equal(['Gather(w,ids) -> h']);
    expect(word(TWO_RANKS).ops).to.deep.equal([
      'Gather(w,ids) -> h_partial',
      'AllGather(h_partial) -> h_gathered',
      'Transpose(h_gathered) -> h_by_token',
    ]);
  });

  it('compute logits of the wanted rows only', () => {
    const head = (gatherAhead: boolean, parallelInfo: TensorParallelInfo) =>
      build(
        { category: 'LM_HEAD', opName: 'lm_head', linear: one, gatherAhead, parallelInfo },
        { input: 'x', indices: 'i', linearOut: 'y' },
        ['x', ...(gatherAhead ? ['i'] : []), 'a.weight'],
        ['y'],
      ).ops;
    expect(head(true, SINGLE_RANK)).to.deep.equal([
      'Gather(x,i) -> lm_head_input',
      'Linear(lm_head_input,a.weight) -> y',
    ]);
    expect(head(false, SINGLE_RANK)).to.deep.equal(['Linear(x,a.weight) -> y']);
    expect(head(false, TWO_RANKS).at(-1)).to.equal('Transpose(y_gathered) -> y_by_token');
  });
});

describe('CommonOpBuilderManager', () => {
  it('says why each candidate refused', () => {
    const param = {
      category: 'NORM',
      opName: 'n',
      normType: 'LayerNorm',
      epsilon: 1e-5,
      weight: 'w',
      enableAddNorm: false,
    } as const;
    const error = failure(param);
    expect(error.code).to.equal('BUILDER_NOT_FOUND');
    expect(error.message).to.equal(
      'BUILDER_NOT_FOUND: no NORM builder accepts "n": RmsNorm wants RmsNorm, found LayerNorm; LayerNorm wants a bias',
    );
  });

  it('refuses a param that two builders accept, naming them', () => {
    class Twin implements OpBuilder<'ROPE'> {
      readonly category = 'ROPE';
      readonly owner: string = 'twins';
      isMatch(): true {
        return true;
      }
      build(): void {}
    }
    class OtherTwin extends Twin {}
    registerCommonOpBuilder(Twin);
    registerCommonOpBuilder(OtherTwin);
    const error = failure({ category: 'ROPE', opName: 'r', rotaryCoeff: 2, owner: 'twins' });
    expect(error.code).to.equal('BUILDER_AMBIGUOUS');
    expect(error.detail).to.deep.equal({ category: 'ROPE', opName: 'r', builders: ['Twin', 'OtherTwin'] });
    expect(
      CommonOpBuilderManager.getBuilder({ category: 'ROPE', opName: 'r', rotaryCoeff: 2 }).name,
    ).to.equal('Rope2d');
  });

  it("resolves a user's builder and what it depends on", () => {
    @injectable()
    class Epsilons {
      readonly smallest = 1e-3;
    }
    @CommonOpBuilder()
    class CarefulNorm implements OpBuilder<'NORM'> {
      readonly category = 'NORM';
      readonly owner = 'careful';
      constructor(@inject(Epsilons) private readonly epsilons: Epsilons) {}
      isMatch({ epsilon }: ParamOf<'NORM'>): true | string {
        return epsilon >= this.epsilons.smallest || `wants an epsilon of at least ${this.epsilons.smallest}`;
      }
      build(
        graph: AtbGraph,
        { opName, epsilon, weight }: ParamOf<'NORM'>,
        tensors: { input: string; normOut: string },
      ): void {
        const op = new BaseOperation(
          'RmsNorm',
          { layerType: 'RMS_NORM_NORM', normParam: { epsilon } },
          opName,
        );
        graph.addOperation(op, [tensors.input, weight], [tensors.normOut]);
      }
    }
    const param = {
      category: 'NORM',
      opName: 'n',
      normType: 'RmsNorm',
      weight: 'w',
      enableAddNorm: false,
      owner: 'careful',
    } as const;
    const { name, ops } = build({ ...param, epsilon: 0.01 }, { input: 'x', normOut: 'y' }, ['x', 'w'], ['y']);
    expect([name, ...ops]).to.deep.equal([CarefulNorm.name, 'RmsNorm(x,w) -> y']);
    expect(failure({ ...param, epsilon: 1e-6 }).message).to.match(
      /CarefulNorm wants an epsilon of at least 0.001/,
    );
  });

  it('says which tensor a param asks for and the call lacks', () => {
    const lacking: [BuilderParam, Record<string, string>, RegExp][] = [
      [
        { category: 'GATE_UP', opName: 'gu', linears: [one, two] },
        { input: 'x', gateUpOut: 'g' },
        /the GATE_UP builder of "gu" needs the tensor "gateOut"/,
      ],
      [
        { category: 'GATE_UP', opName: 'gu', linears: [one] },
        { input: 'x', gateOut: 'g', upOut: 'u' },
        /needs the tensor "gateUpOut"/,
      ],
      [
        { category: 'ACTIVATION', opName: 'a', kind: 'silu', isGated: true, isPack: false },
        { input: 'x', actOut: 'y' },
        /needs the tensor "gate"/,
      ],
      [
        { category: 'ACTIVATION', opName: 'a', kind: 'gelu', isGated: true, isPack: true },
        { gate: 'x', up: 'u', actOut: 'y' },
        /needs the tensor "input"/,
      ],
      [
        {
          category: 'NORM',
          opName: 'n',
          normType: 'RmsNorm',
          epsilon: 1e-5,
          weight: 'w',
          enableAddNorm: true,
        },
        { input: 'x', normOut: 'y' },
        /needs the tensor "residualInput"/,
      ],
      [
        { category: 'LM_HEAD', opName: 'h', linear: one, gatherAhead: true, parallelInfo: SINGLE_RANK },
        { input: 'x', linearOut: 'y' },
        /needs the tensor "indices"/,
      ],
    ];
    for (const [param, tensors, message] of lacking) {
      const make = () => build(param, tensors, ['x'], ['y']);
      expect(make).to.throw(AtbError, message);
      expect(make).to.throw(/BUILDER_TENSOR_MISSING/);
    }
  });

  it('says so when nothing is registered', () => {
    const error = failure({ category: 'ROPE', opName: 'r', rotaryCoeff: 2, owner: 'nobody' });
    expect(error.message).to.match(/no ROPE builder accepts "r": none is registered/);
  });

  it('does not compile with tensors or params of another category', () => {
    const rope = { category: 'ROPE', opName: 'r', rotaryCoeff: 2 } as const;
    const wrong = () => {
      // @ts-expect-error a tensor of another category
      CommonOpBuilderManager.getBuilder(rope).build(new AtbGraph('g'), { input: 'x', linearOut: 'y' });
      // @ts-expect-error a param of another category
      CommonOpBuilderManager.getBuilder({ category: 'ROPE', opName: 'r', epsilon: 1 });
    };
    expect(wrong).to.be.a('function');
  });
});
