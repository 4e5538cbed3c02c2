import { expect } from 'chai';
import { DECODE, type GraphKind, PREFILL, SPLITFUSE } from '../../src/graph/graph-kind.js';
import { distinctGraphs, type GraphSpec, type NodeSpec } from '../../src/graph/graph-spec.js';
import {
  applyPass,
  applyPasses,
  type GraphPass,
  PASSES,
  selectPasses,
} from '../../src/graph/passes/index.js';
import { familyKinds, familyModel } from '../models/family-models.js';

const attentions = (spec: GraphSpec): NodeSpec[] =>
  distinctGraphs(spec).flatMap((graph) =>
    graph.nodes.filter(({ op }) => 'type' in op && /Attention$/.test(op.type)),
  );
const paramOf = (node: NodeSpec | undefined): object => (node && 'type' in node.op ? node.op.param : {});

describe('graph passes', () => {
  for (const { family, kind, phase } of familyKinds) {
    it(`leave the graph of ${family} in ${phase} untouched, and give the same each time`, async () => {
      const spec = (await familyModel(family)).buildGraph(kind);
      const before = JSON.stringify(spec);
      for (const pass of PASSES) {
        const once = applyPass(spec, pass);
        expect(JSON.stringify(spec)).to.equal(before);
        expect(JSON.stringify(applyPass(spec, pass))).to.equal(JSON.stringify(once));
        expect(JSON.stringify(applyPass(once, pass))).to.equal(JSON.stringify(once));
      }
    });
  }

  it('are chosen by name, all, or none', async () => {
    const spec = (await familyModel('llama')).buildGraph(PREFILL);
    expect(applyPasses(spec, 'none')).to.deep.equal(spec);
    expect(selectPasses('all')).to.equal(PASSES);
    expect(selectPasses(['implicit-masks']).map((pass) => pass.name)).to.deep.equal(['implicit-masks']);
    expect(() => applyPasses(spec, ['implicit-mask'])).to.throw(
      /GRAPH_PASS_UNKNOWN: no graph pass "implicit-mask"; known: all, none, .*implicit-masks/,
    );
  });

  it('rewrite a sub-graph that is placed often only once', async () => {
    const spec = (await familyModel('llama')).buildGraph(DECODE);
    let calls = 0;
    const counting: GraphPass = {
      name: 'counting',
      summary: 'counts',
      rewrite(graph) {
        calls++;
        return graph;
      },
    };
    expect(applyPass(spec, counting)).to.equal(spec);
    expect(calls).to.equal(2);
  });
});

describe('the pass implicit-masks', () => {
  const run = async (family: 'llama' | 'mistral' | 'qwen2', kind: GraphKind) =>
    applyPasses((await familyModel(family)).buildGraph(kind), ['implicit-masks']);

  it('turns the triangle of prefill into "causal", and drops the mask from every graph', async () => {
    const spec = await run('llama', PREFILL);
    expect(spec.inputs).not.to.include('attention_mask');
    const [node] = attentions(spec);
    expect(node?.inputs).to.have.length(4);
    expect(node?.hint).to.equal(undefined);
    expect(paramOf(node)).to.deep.include({
      causal: true,
      maskType: 'MASK_TYPE_UNDEFINED',
      calcType: 'PA_ENCODER',
    });
    expect(paramOf(node)).not.to.have.any.keys('isTriuMask', 'windowSize');
  });

  it('turns a window into "windowSize"', async () => {
    const spec = await run('mistral', DECODE);
    expect(spec.inputs.filter((name) => /mask/.test(name))).to.deep.equal([]);
    const [node] = attentions(spec);
    expect(node?.inputs).to.deep.equal(['attention_q', 'k_cache', 'v_cache', 'block_tables', 'seq_len']);
    expect(paramOf(node)).to.deep.include({ causal: true, windowSize: 24 });
  });

  it('keeps the lengths of split-fuse in their place', async () => {
    const [node] = attentions(await run('llama', SPLITFUSE));
    expect(node?.inputs.slice(3)).to.deep.equal(['block_tables', 'seq_len', 'q_len']);
    expect(paramOf(node)).to.deep.include({ calcType: 'CALC_TYPE_SPEC', causal: true });
  });

  it('treats layers with and without a window apart', async () => {
    const params = attentions(await run('qwen2', PREFILL)).map(
      (node) => paramOf(node) as { windowSize?: number },
    );
    expect(params.map(({ windowSize }) => windowSize)).to.deep.equal([undefined, 20]);
  });

  it('leaves a decode over the whole context as it is', async () => {
    const model = await familyModel('llama');
    const spec = model.buildGraph(DECODE);
    expect(applyPasses(spec, ['implicit-masks'])).to.deep.equal(spec);
  });
});
