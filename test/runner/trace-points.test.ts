import { expect } from 'chai';
import { PREFILL } from '../../src/graph/graph-kind.js';
import { openModel } from '../../src/runner/open-model.js';
import { type TracePoint, tracePoints } from '../../src/runner/trace-points.js';
import { familyCheckpoint } from '../oracle/families.js';

/** A tied head behind scaled logits; norms whose weights are a stack of vectors, reordered for the rotary embedding. */
const CASE = 'cohere-qk-norm';
const HEAD_DIM = 16;

async function pointsOf(name: string): Promise<TracePoint[]> {
  const { path, remove } = familyCheckpoint(name);
  try {
    const open = await openModel({ modelPath: path });
    return tracePoints(open.model.buildGraph(PREFILL), open);
  } finally {
    remove();
  }
}

describe('trace points', () => {
  let points: readonly TracePoint[] = [];
  before(async () => {
    points = await pointsOf(CASE);
  });

  it('compare the embedding with what is looked up, and not with a head that shares its weight', () => {
    const tensors = points.filter(({ reference }) => reference === 'model.embed_tokens');
    expect(tensors.map(({ tensor }) => tensor)).to.deep.equal(['hidden_states']);
  });

  it('know the multiple of an embedding, which its module may give back itself', async () => {
    const table = (await pointsOf('gemma2')).find(({ reference }) => reference === 'model.embed_tokens');
    expect(table).to.deep.include({ tensor: 'hidden_states', scaled: 'scaled_hidden_states' });
  });

  it('give each number of a stack of vectors its own column', () => {
    const norm = points.find(({ reference }) => reference === 'model.layers.0.self_attn.q_norm');
    const order = [...(norm?.order ?? [])];
    const secondHead = order.slice(HEAD_DIM, 2 * HEAD_DIM);
    // Neighbours of the checkpoint turn together: even numbers come before odd ones.
    expect(secondHead.slice(0, 3)).to.deep.equal([HEAD_DIM, HEAD_DIM + 2, HEAD_DIM + 4]);
    expect(order.toSorted((a, b) => a - b)).to.deep.equal(Array.from(order.keys()));
  });

  it('do not take what a norm has not multiplied yet for what goes into it', () => {
    const references = points.map(({ reference }) => reference);
    expect(references).to.not.include('model.layers.0.self_attn.q_norm:input');
  });

  it('leave out results of weights that are multiplied at load, and keep what goes into them', async () => {
    const references = (await pointsOf('granite')).map(({ reference }) => reference);
    expect(references).to.include('model.layers.0.self_attn.o_proj:input');
    expect(references).to.not.include('model.layers.0.self_attn.o_proj');
    expect(references).to.include('model.layers.0.self_attn.q_proj');
  });
});
