import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Tensor, toFloat32 } from '../../src/dtype.js';
import type { GraphSpec } from '../../src/graph/atb-graph.js';
import { availableIsas, createEngine, type NativeEngine } from '../../src/native/index.js';
import { ORACLE_DIR, readTensors } from './fixtures.js';

/** One ATB operation and what torch computes for it (tools/oracle/make_op_fixtures.py). */
interface OpCase {
  readonly name: string;
  readonly op: string;
  readonly param: object;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Output index → the input that it overwrites. */
  readonly inPlace?: Readonly<Record<string, number>>;
  readonly tolerance: { readonly rtol: number; readonly atol: number };
}

const cases: readonly OpCase[] = JSON.parse(readFileSync(join(ORACLE_DIR, 'ops.json'), 'utf8')).entries;

/** A graph of this operation alone; outputs that overwrite inputs are those inputs. */
function graphOf({ op, param, inputs, outputs, inPlace = {} }: OpCase): GraphSpec {
  const written = outputs.map((name, i) => inputs[inPlace[i] ?? -1] ?? name);
  const node = { name: 'op', op: { type: op, param }, inputs, outputs: written };
  return { name: 'single', inputs, outputs: written, views: {}, nodes: [node] } as unknown as GraphSpec;
}

const FLOATS: readonly string[] = ['f32', 'f16', 'bf16'];
const values = (tensor: Tensor): ArrayLike<number> =>
  FLOATS.includes(tensor.dtype)
    ? toFloat32(tensor)
    : Array.from(tensor.data as ArrayLike<number | bigint>, Number);

function expectClose(found: Tensor, wanted: Tensor, { rtol, atol }: OpCase['tolerance']): void {
  expect(`${found.dtype}[${found.shape}]`).to.equal(`${wanted.dtype}[${wanted.shape}]`);
  const [a, b] = [values(found), values(wanted)];
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    if (Object.is(x, y) || x === y || (Number.isNaN(x) && Number.isNaN(y))) continue;
    expect(Math.abs(x - y), `element ${i}: ${x}, wanted ${y}`).to.be.at.most(atol + rtol * Math.abs(y));
  }
}

describe('operations agree with torch', () => {
  let tensors: Map<string, Tensor>;
  before(async () => {
    tensors = await readTensors(join(ORACLE_DIR, 'ops.safetensors'));
  });

  for (const isa of availableIsas()) {
    describe(`${isa} kernels`, () => {
      let engine: NativeEngine;
      before(() => {
        engine = createEngine({ threads: 2, isa });
      });
      after(() => engine.dispose());

      for (const opCase of cases) {
        it(opCase.name, async () => {
          const tensor = (name: string): Tensor => tensors.get(name) as Tensor;
          const inputs = Object.fromEntries(opCase.inputs.map((name) => [name, tensor(name)]));
          const graph = graphOf(opCase);
          const { outputs } = await engine.forward(graph, inputs);
          for (const [i, name] of opCase.outputs.entries()) {
            expectClose(outputs[graph.outputs[i] as string] as Tensor, tensor(name), opCase.tolerance);
          }
        });
      }
    });
  }
});
