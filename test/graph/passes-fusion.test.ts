import { expect } from 'chai';
import fc from 'fast-check';
import { DECODE, DECODER_KINDS, type GraphKind, PREFILL, SPLITFUSE } from '../../src/graph/graph-kind.js';
import { distinctGraphs, type GraphSpec, type NodeSpec } from '../../src/graph/graph-spec.js';
import { applyPass, applyPasses, PASSES } from '../../src/graph/passes/index.js';
import { normLinear } from '../../src/graph/passes/norm-linear.js';
import { validateGraph } from '../../src/graph/validate.js';
import { FAMILIES, type Family, familyModel, flat } from '../models/family-models.js';

const NAMES = PASSES.map((pass) => pass.name);

const run = async (family: Family, kind: GraphKind, passes: readonly string[] | 'all'): Promise<GraphSpec> =>
  applyPasses((await familyModel(family)).buildGraph(kind), passes);

const operations = (spec: GraphSpec): NodeSpec[] =>
  distinctGraphs(spec).flatMap((graph) => graph.nodes.filter(({ op }) => 'type' in op));
const typeOf = ({ op }: NodeSpec): string => ('type' in op ? op.type : 'graph');
const ofType = (spec: GraphSpec, type: string): NodeSpec[] =>
  operations(spec).filter((node) => typeOf(node) === type);
const paramOf = (node: NodeSpec | undefined): object => (node && 'type' in node.op ? node.op.param : {});
const named = (spec: GraphSpec, name: string): NodeSpec | undefined =>
  operations(spec).find((node) => node.name === name);
const layerOf = (spec: GraphSpec): GraphSpec => {
  const placed = spec.nodes.find(({ op }) => 'graph' in op);
  if (!placed || !('graph' in placed.op)) throw new Error('no layer');
  return placed.op.graph;
};

describe('the passes together', () => {
  for (const family of FAMILIES) {
    for (const kind of DECODER_KINDS) {
      it(`make a layer of ${family} in ${kind.name} six operations`, async () => {
        const layer = layerOf(await run(family, kind, 'all'));
        expect(layer.nodes.map(typeOf)).to.deep.equal([
          'FusedLinear',
          'QkvRopeCache',
          'PagedAttention',
          'FusedLinear',
          'FusedLinear',
          'FusedLinear',
        ]);
        const views = Object.keys(layer.views);
        expect(views, 'no view is left that nobody reads').to.have.length(2);
      });
    }

    it(`give a valid graph of ${family} of the same outputs in any subset`, async () => {
      const model = await familyModel(family);
      const specs = DECODER_KINDS.map((kind) => {
        const spec = model.buildGraph(kind);
        return { kind, spec, logits: flat(model, spec, kind).outputs };
      });
      fc.assert(
        fc.property(fc.subarray(NAMES), fc.constantFrom(...specs), (passes, { kind, spec, logits }) => {
          const result = applyPasses(spec, passes);
          for (const graph of distinctGraphs(result)) validateGraph(graph);
          // Flattening infers every shape.
          expect(flat(model, result, kind).outputs).to.deep.equal(logits);
          expect(applyPasses(result, passes), 'a second time changes nothing').to.deep.equal(result);
        }),
        { numRuns: 120 },
      );
    });
  }

  it('never need one another to leave a graph as it was', async () => {
    const spec = await run('llama', SPLITFUSE, 'all');
    for (const pass of PASSES) expect(applyPass(spec, pass), pass.name).to.equal(spec);
  });
});

describe('the pass attention-from-cache', () => {
  const passes = ['implicit-masks', 'attention-from-cache'];

  it('reads keys and values where they were just written', async () => {
    const [node] = ofType(await run('mistral', PREFILL, passes), 'PagedAttention');
    expect(node?.inputs).to.deep.equal([
      'attention_q',
      'k_cache',
      'v_cache',
      'block_tables',
      'seq_len',
      'seq_len',
    ]);
    expect(paramOf(node)).to.deep.include({ calcType: 'CALC_TYPE_SPEC', causal: true, windowSize: 24 });
    expect(paramOf(node)).not.to.have.any.keys('isTriuMask', 'kernelType');
  });

  it('threads the block tables through from the graph around it', async () => {
    const spec = await run('llama', PREFILL, passes);
    expect(spec.inputs.at(-1)).to.equal('block_tables');
    const layers = spec.nodes.filter(({ op }) => 'graph' in op);
    for (const { inputs } of layers) expect(inputs.at(-1)).to.equal('block_tables');
    expect(layerOf(spec).inputs.at(-1)).to.equal('block_tables');
  });

  it('leaves attention with an explicit mask, and attention over other keys, alone', async () => {
    const masked = await run('llama', PREFILL, ['attention-from-cache']);
    expect(ofType(masked, 'SelfAttention')).to.have.length(1);
    const layer = layerOf(await run('llama', PREFILL, ['implicit-masks']));
    const other = {
      ...layer,
      views: { ...layer.views, other: { ...layer.views.attention_k, source: 'k' } },
      nodes: layer.nodes.map((node) =>
        typeOf(node) === 'SelfAttention' ? { ...node, inputs: node.inputs.with(1, 'other') } : node,
      ),
    } as GraphSpec;
    expect(applyPasses(other, ['attention-from-cache'])).to.deep.equal(other);
  });

  it('does not read a cache that was overwritten since', async () => {
    const layer = layerOf(await run('llama', PREFILL, ['implicit-masks']));
    const at = layer.nodes.findIndex((node) => typeOf(node) === 'ReshapeAndCache');
    const write = layer.nodes[at] as NodeSpec;
    const again = {
      ...write,
      name: 'again',
      inputs: ['attention_v', 'attention_k', ...write.inputs.slice(2)],
    };
    const twice = { ...layer, nodes: layer.nodes.toSpliced(at + 1, 0, again) };
    expect(applyPasses(twice, ['attention-from-cache'])).to.deep.equal(twice);
  });
});

describe('the pass rope-cache', () => {
  const passes = ['implicit-masks', 'attention-from-cache', 'rope-cache'];

  it('says how rows are cut', async () => {
    const params = new Map<Family, object>();
    for (const family of ['llama', 'llama-tied', 'qwen3'] as const)
      params.set(family, paramOf(ofType(await run(family, DECODE, passes), 'QkvRopeCache')[0]));
    const rows = { headNum: 4, headDim: 16, rotaryCoeff: 2 };
    expect(params.get('llama')).to.deep.equal({ ...rows, kvHeadNum: 2 });
    expect(params.get('llama-tied')).to.deep.equal({ ...rows, kvHeadNum: 4 });
    expect(params.get('qwen3')).to.deep.equal({ ...rows, kvHeadNum: 2, headDim: 32, normEpsilon: 1e-6 });
  });

  it('takes the norms of heads along', async () => {
    const spec = await run('qwen3', PREFILL, passes);
    const [node] = ofType(spec, 'QkvRopeCache');
    expect(node?.inputs.slice(-2)).to.deep.equal(['self_attn.q_norm.weight', 'self_attn.k_norm.weight']);
    expect(ofType(spec, 'RmsNorm').map((norm) => norm.name)).to.have.members([
      'input_layernorm',
      'post_attention_layernorm',
      'norm',
    ]);
  });

  it('takes norms with gamma + 1 along, but no others', async () => {
    const layer = layerOf(await run('qwen3', DECODE, []));
    const withParam = (normParam: object): GraphSpec => {
      const op = { type: 'RmsNorm', param: { layerType: 'RMS_NORM_NORM', normParam } };
      const nodes = layer.nodes.map((node) => (/[qk]_norm/.test(node.name) ? { ...node, op } : node));
      return applyPasses({ ...layer, nodes } as GraphSpec, passes);
    };
    const [node] = ofType(withParam({ epsilon: 1e-6, modelType: 'GEMMA_MODEL' }), 'QkvRopeCache');
    expect(paramOf(node)).to.deep.include({ normEpsilon: 1e-6, normType: 'rms-plus-one' });
    expect(ofType(withParam({ epsilon: 1e-6, quantType: 'QUANT_INT8' }), 'QkvRopeCache')).to.deep.equal([]);
  });

  /** A layer without its rotation: what is written and read is `rows` of queries and keys. */
  const unrotated = (layer: GraphSpec, rows: string): GraphSpec => ({
    ...layer,
    views: Object.fromEntries(
      Object.entries(layer.views).map(([name, view]) => [
        name,
        { ...view, source: view.source.replace(/^([qk])_rope$/, rows) },
      ]),
    ),
    nodes: layer.nodes.filter((node) => typeOf(node) !== 'Rope'),
  });

  it('splits and writes in layers that rotate nothing', async () => {
    const spec = applyPasses(unrotated(layerOf(await run('llama', DECODE, [])), '$1'), passes);
    const [node] = ofType(spec, 'QkvRopeCache');
    expect(paramOf(node)).to.deep.equal({ headNum: 4, kvHeadNum: 2, headDim: 16, rotaryCoeff: 0 });
    expect(node?.inputs).to.deep.equal(['qkv_mixed', 'k_cache', 'v_cache', 'slots_mapping']);
    expect(node?.outputs[0]).to.equal('q');
    expect(ofType(spec, 'Split')).to.deep.equal([]);
  });

  it('takes the norms of heads along in layers that rotate nothing, unless others read what is normed', async () => {
    const layer = unrotated(layerOf(await run('qwen3', DECODE, [])), '$1_norm_out');
    const spec = applyPasses(layer, passes);
    const [node] = ofType(spec, 'QkvRopeCache');
    const [attention] = ofType(spec, 'PagedAttention');
    expect(paramOf(node)).to.deep.include({ rotaryCoeff: 0, normEpsilon: 1e-6 });
    expect(node?.inputs.slice(4)).to.deep.equal(['self_attn.q_norm.weight', 'self_attn.k_norm.weight']);
    expect(spec.views[attention?.inputs[0] ?? '']?.source).to.equal(node?.outputs[0]);
    expect(ofType(spec, 'Split')).to.deep.equal([]);
    for (const seen of ['q', 'q_norm_heads_out', 'k_norm_heads_out']) {
      const watched = { ...layer, outputs: [...layer.outputs, seen] };
      expect(ofType(applyPasses(watched, passes), 'QkvRopeCache'), seen).to.deep.equal([]);
    }
  });

  it('keeps rows that attention still reads', async () => {
    const spec = await run('llama', PREFILL, ['implicit-masks', 'rope-cache']);
    expect(ofType(spec, 'QkvRopeCache')).to.deep.equal([]);
    expect(ofType(spec, 'Rope')).to.have.length(1);
  });

  it('leaves rotations of another form alone', async () => {
    const layer = layerOf(await run('llama', DECODE, []));
    const chatGlm = {
      ...layer,
      nodes: layer.nodes.map((node) =>
        typeOf(node) === 'Rope' ? { ...node, op: { type: 'Rope', param: { rotaryCoeff: 4 } } } : node,
      ),
    } as GraphSpec;
    expect(applyPasses(chatGlm, ['rope-cache'])).to.deep.equal(chatGlm);
  });
});

describe('the passes that add to products', () => {
  it('add the norm before, where nobody else reads its rows', async () => {
    const spec = await run('llama', DECODE, ['norm-linear']);
    const gateUp = named(spec, 'gate_up');
    expect(gateUp?.inputs).to.deep.equal([
      'attn_residual',
      'post_attention_layernorm.weight',
      'mlp.gate_up_proj.weight',
      'mlp.gate_up_proj.bias',
    ]);
    expect(paramOf(gateUp)).to.deep.equal({ transposeB: true, hasBias: true, normEpsilon: 1e-6 });
    const layer = layerOf(await run('llama', DECODE, []));
    const watched = { ...layer, outputs: [...layer.outputs, 'input_layernorm_out'] };
    expect(named(applyPasses(watched, ['norm-linear']), 'qkv')?.op).to.deep.equal(named(layer, 'qkv')?.op);
  });

  it('say which norm they add: RmsNorm, RmsNorm with gamma + 1, or LayerNorm with its beta', async () => {
    const layer = layerOf(await run('llama', DECODE, []));
    const fusedWith = (op: NodeSpec['op'], weights: readonly string[]): NodeSpec | undefined => {
      const nodes = layer.nodes.map((node) =>
        typeOf(node) === 'RmsNorm' ? { ...node, op, inputs: [...node.inputs.slice(0, 2), ...weights] } : node,
      );
      const inputs = [...layer.inputs, ...weights];
      return named(applyPass({ ...layer, inputs, nodes } as GraphSpec, normLinear), 'gate_up');
    };
    const base = { transposeB: true, hasBias: true, normEpsilon: 1e-6 };
    const normParam = { epsilon: 1e-6, modelType: 'GEMMA_MODEL' } as const;
    const gemma = fusedWith({ type: 'RmsNorm', param: { layerType: 'RMS_NORM_NORM', normParam } }, []);
    expect(paramOf(gemma)).to.deep.equal({ ...base, normType: 'rms-plus-one' });
    const layerNorm = (beginNormAxis: number) =>
      fusedWith(
        {
          type: 'LayerNorm',
          param: { layerType: 'LAYER_NORM_NORM', normParam: { epsilon: 1e-6, beginNormAxis } },
        },
        ['beta'],
      );
    for (const axis of [-1, 1]) {
      expect(paramOf(layerNorm(axis))).to.deep.equal({ ...base, normType: 'layer' });
      expect(layerNorm(axis)?.inputs[2]).to.equal('beta');
    }
    expect(layerNorm(0)?.op, 'rows that are normalised together').to.have.property('type', 'Linear');
  });

  it('leave norms alone that are quantised, or sums as well', async () => {
    const layer = layerOf(await run('llama', DECODE, []));
    const norm = { epsilon: 1e-6 };
    const others = [
      { layerType: 'RMS_NORM_NORM', normParam: { ...norm, quantType: 'QUANT_INT8' } },
      { layerType: 'RMS_NORM_PRENORM', preNormParam: norm },
    ];
    for (const param of others) {
      const changed = {
        ...layer,
        nodes: layer.nodes.map((node) =>
          typeOf(node) === 'RmsNorm' ? { ...node, op: { type: 'RmsNorm', param } } : node,
        ),
      } as GraphSpec;
      expect(applyPass(changed, normLinear), JSON.stringify(param)).to.equal(changed);
    }
  });

  it('add SwiGLU behind gate and up', async () => {
    const spec = await run('qwen2', PREFILL, ['activation-epilogue']);
    expect(ofType(spec, 'Activation')).to.deep.equal([]);
    expect(named(spec, 'gate_up')?.outputs).to.deep.equal(['mul_out']);
    expect(paramOf(named(spec, 'gate_up'))).to.deep.equal({
      transposeB: true,
      hasBias: false,
      activation: 'swiglu',
    });
  });

  it('add other activations, and gates of them', () => {
    const node = (type: string, param: object, inputs: string[], outputs: string[]) =>
      ({ name: type, op: { type, param }, inputs, outputs }) as unknown as NodeSpec;
    const linear = node('Linear', { transposeB: true, hasBias: false }, ['x', 'w'], ['y']);
    const found = (...nodes: NodeSpec[]): NodeSpec[] => [
      ...applyPasses(
        { name: 'mlp', inputs: ['x', 'w'], outputs: ['out'], views: {}, nodes: [linear, ...nodes] },
        ['activation-epilogue'],
      ).nodes,
    ];
    const gelu = { activationType: 'ACTIVATION_GELU', geluMode: 'TANH_MODE' };
    for (const [param, activation] of [
      [{ activationType: 'ACTIVATION_RELU' }, 'relu'],
      [gelu, 'gelu-tanh'],
      [{ ...gelu, geluMode: 'NONE_MODE' }, 'gelu'],
      [{ activationType: 'ACTIVATION_FAST_GELU' }, 'fast-gelu'],
      [{ activationType: 'ACTIVATION_SWISH' }, 'swish'],
      [{ activationType: 'ACTIVATION_SWISH', scale: 1.702 }, 'fast-gelu'],
    ] as const) {
      const [fused, ...others] = found(node('Activation', param, ['y'], ['out']));
      expect(paramOf(fused)).to.deep.include({ activation });
      expect(others).to.deep.equal([]);
    }
    const relu = node('Activation', { activationType: 'ACTIVATION_RELU' }, ['y'], ['act']);
    const multiply = (...inputs: string[]) =>
      node('Elewise', { elewiseType: 'ELEWISE_MUL' }, inputs, ['out']);
    expect(found(relu, multiply('act', 'act')).map(paramOf)).to.deep.equal([
      { transposeB: true, hasBias: false, activation: 'relu2' },
    ]);
    expect(found(relu, multiply('act', 'x')).map(typeOf)).to.deep.equal(['FusedLinear', 'Elewise']);
    const scaled = { activationType: 'ACTIVATION_SWISH', scale: 1.7 };
    expect(found(node('Activation', scaled, ['y'], ['out'])).map(typeOf)).to.deep.equal([
      'Linear',
      'Activation',
    ]);
    const gate = (splitSizes: number[], param: object = gelu) =>
      found(
        node('Split', { splitDim: 1, splitNum: 2, splitSizes }, ['y'], ['gate', 'up']),
        node('Activation', param, ['gate'], ['act']),
        node('Elewise', { elewiseType: 'ELEWISE_MUL' }, ['act', 'up'], ['out']),
      );
    expect(gate([]).map(paramOf)).to.deep.equal([
      { transposeB: true, hasBias: false, activation: 'geglu-tanh' },
    ]);
    expect(gate([4, 4]).map(typeOf)).to.deep.equal(['FusedLinear']);
    for (const kept of [gate([4, 8]), gate([], { activationType: 'ACTIVATION_RELU' })])
      expect(kept.map(typeOf)).to.deep.equal(['Linear', 'Split', 'Activation', 'Elewise']);
  });

  it('add the residual stream, but no vector', async () => {
    const spec = await run('llama', DECODE, ['residual-epilogue']);
    expect(ofType(spec, 'Elewise')).to.deep.equal([]);
    expect(named(spec, 'dense')?.inputs.at(-1)).to.equal('hidden_states');
    expect(named(spec, 'down')).to.deep.include({ outputs: ['layer_out'] });
    expect(named(spec, 'down')?.inputs.at(-1)).to.equal('attn_residual');
    const shifted: GraphSpec = {
      name: 'shifted',
      inputs: ['x', 'w', 'shift'],
      outputs: ['out'],
      views: {},
      nodes: [
        {
          name: 'linear',
          op: { type: 'Linear', param: { transposeB: true, hasBias: false } },
          inputs: ['x', 'w'],
          outputs: ['y'],
        },
        {
          name: 'add',
          op: { type: 'Elewise', param: { elewiseType: 'ELEWISE_ADD' } },
          inputs: ['y', 'shift'],
          outputs: ['out'],
        },
      ],
    };
    expect(applyPasses(shifted, ['residual-epilogue'])).to.deep.equal(shifted);
    const other = { ...(shifted.nodes[0] as NodeSpec), name: 'other', outputs: ['shift'] };
    const parallel = { ...shifted, inputs: ['x', 'w'], nodes: [other, ...shifted.nodes] };
    expect(applyPasses(parallel, ['residual-epilogue']).nodes.map(typeOf)).to.deep.equal([
      'Linear',
      'FusedLinear',
    ]);
  });

  it('add the residual stream to a norm of what a layer computed', async () => {
    const layer = layerOf(await run('llama', DECODE, []));
    const norm = layer.nodes.find((node) => typeOf(node) === 'RmsNorm') as NodeSpec;
    const dense = layer.nodes.find(({ name }) => name === 'dense') as NodeSpec;
    const [out = ''] = dense.outputs;
    const after = { ...norm, name: 'after', inputs: norm.inputs.with(0, 'dense_raw'), outputs: [out] };
    const nodes = layer.nodes.flatMap((node) =>
      node === dense ? [{ ...dense, outputs: ['dense_raw'] }, after] : [node],
    );
    const spec = applyPasses({ ...layer, nodes }, ['residual-epilogue', 'norm-linear']);
    const fused = named(spec, 'after');
    expect(fused?.inputs).to.deep.equal(['dense_raw', norm.inputs[1], 'hidden_states']);
    expect(fused?.outputs).to.deep.equal(['attn_residual']);
    expect(paramOf(fused)).to.deep.equal({ ...paramOf(norm), hasResidual: true });
    expect(typeOf(named(spec, 'dense') as NodeSpec)).to.equal('Linear');
  });

  it('add products of streams as they are made, of which nobody else reads one', () => {
    const node = (
      name: string,
      type: 'Elewise' | 'Reduce',
      param: object,
      ...inputs: string[]
    ): NodeSpec => ({
      name,
      op: { type, param } as NodeSpec['op'],
      inputs,
      outputs: [name],
    });
    const streams = (...rest: readonly NodeSpec[]): GraphSpec => ({
      name: 'streams',
      inputs: ['streams', 'gates', 'other'],
      outputs: ['out'],
      views: { column: { source: 'gates', shape: [{ axes: [0] }, { axes: [1] }, 1] } },
      nodes: [node('gated', 'Elewise', { elewiseType: 'ELEWISE_MUL' }, 'streams', 'column'), ...rest],
    });
    const sumOver = (...axis: number[]) => node('out', 'Reduce', { reduceType: 'REDUCE_SUM', axis }, 'gated');
    const added = node('out', 'Elewise', { elewiseType: 'ELEWISE_ADD' }, 'other', 'gated');
    const fused = (spec: GraphSpec) => applyPasses(spec, ['fused-multiply']).nodes;
    const [sum] = fused(streams(sumOver(1)));
    expect(sum).to.deep.include({ inputs: ['streams', 'column'], outputs: ['out'] });
    expect([sum && typeOf(sum), paramOf(sum)]).to.deep.equal(['FusedMultiply', { follow: 'sum' }]);
    const [add] = fused(streams(added));
    expect(add).to.deep.include({ inputs: ['streams', 'column', 'other'], outputs: ['out'] });
    expect(paramOf(add)).to.deep.equal({ follow: 'add' });
    const seen = { ...streams(added), outputs: ['out', 'gated'] };
    const flat = { ...streams(added), views: {}, inputs: ['streams', 'column', 'other'] };
    for (const spec of [streams(sumOver(2)), streams(sumOver(0, 1)), seen, flat])
      expect(applyPasses(spec, ['fused-multiply'])).to.deep.equal(spec);
  });

  it('keep logits in f32, and nothing else', async () => {
    for (const passes of [['logits-f32'], NAMES]) {
      const spec = await run('llama', DECODE, passes);
      const wide = operations(spec).filter((node) => 'outDataType' in paramOf(node));
      expect(wide.map((node) => node.name)).to.deep.equal(['lm_head']);
    }
  });

  it('keep logits in f32 that are scaled or bounded, unless somebody else reads the product', async () => {
    const spec = (await familyModel('llama')).buildGraph(DECODE);
    const [logits = ''] = spec.outputs;
    const elewise = (name: string, param: object, input: string): NodeSpec => ({
      name,
      op: { type: 'Elewise', param },
      inputs: [input],
      outputs: [name],
    });
    const scale = { elewiseType: 'ELEWISE_MULS', mulsParam: { varAttr: 0.1 } };
    const scaled = elewise('scaled', scale, logits);
    const bounded = elewise('bounded', { elewiseType: 'ELEWISE_TANH' }, 'scaled');
    const graph = { ...spec, outputs: ['bounded'], nodes: [...spec.nodes, scaled, bounded] };
    const wide = (found: GraphSpec) =>
      operations(applyPasses(found, ['logits-f32']))
        .filter((node) => 'outDataType' in paramOf(node))
        .map(({ name }) => name);
    expect(wide(graph)).to.deep.equal(['lm_head']);
    expect(wide({ ...graph, outputs: ['bounded', logits] })).to.deep.equal([]);
  });

  it('normalise only the rows whose logits are wanted', async () => {
    const spec = await run('llama', PREFILL, ['gather-first']);
    expect(spec.nodes.slice(-3).map(typeOf)).to.deep.equal(['Gather', 'RmsNorm', 'Linear']);
    expect(spec.nodes.at(-3)?.inputs).to.deep.equal(['hidden_states_3', 'lm_head_indices']);
  });
});
