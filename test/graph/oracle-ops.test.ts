import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ATB_DTYPE_NAME, type Tensor } from '../../src/dtype.js';
import type { FlatGraph } from '../../src/graph/flatten.js';
import { inferShapes } from '../../src/graph/infer-shapes.js';
import { legalityProblems } from '../../src/graph/legality.js';
import type { LegalityProblem } from '../../src/graph/legality-problem.js';
import { ATB_OPS, type AtbOpParams, type AtbOpType, EXTENSION_OPS } from '../../src/graph/ops/index.js';
import { supportedOps } from '../../src/native/index.js';
import { ORACLE_DIR, readTensors } from '../oracle/fixtures.js';

interface OpCase {
  readonly name: string;
  readonly op: AtbOpType;
  readonly param: AtbOpParams[AtbOpType];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}
const cases: readonly OpCase[] = JSON.parse(readFileSync(join(ORACLE_DIR, 'ops.json'), 'utf8')).entries;

describe('recorded operations', () => {
  let tensors: Map<string, Tensor>;
  before(async () => {
    tensors = await readTensors(join(ORACLE_DIR, 'ops.safetensors'));
  });
  const tensor = (name: string): Tensor => tensors.get(name) as Tensor;
  const described = (all: readonly { dtype: string; shape: readonly number[] }[]) =>
    all.map(({ dtype, shape }) => `${dtype}[${shape}]`);

  it('have the shapes and dtypes that are inferred', () => {
    for (const { name, op, param, inputs, outputs } of cases) {
      const inferred = inferShapes(op, param, inputs.map(tensor), { graph: name, op });
      expect(described(inferred), name).to.deep.equal(described(outputs.map(tensor)));
    }
  });

  it('are legal in ATB in 16 bits, but for a ReLU of f16 and odd norms; in f32 only dtypes are beyond it', () => {
    const illegal: string[] = [];
    for (const { name, op, param, inputs, outputs } of cases) {
      const declared = Object.fromEntries(
        inputs.map((input) => [
          input,
          { dtype: ATB_DTYPE_NAME[tensor(input).dtype], shape: tensor(input).shape },
        ]),
      );
      const out = op === 'ReshapeAndCache' ? inputs.slice(2, 4) : outputs;
      const graph: FlatGraph = {
        name: 'single',
        inputs: declared,
        outputs: out,
        nodes: [{ type: op, param, in: inputs, out }],
      };
      // Rows of norms are 72 numbers, so that kernels meet a remainder; ATB wants whole 32 bytes.
      const isOdd = ({ text }: LegalityProblem): boolean => /^rows must be of a multiple of 16/.test(text);
      const problems = legalityProblems(graph).filter((problem) => !isOdd(problem));
      if (inputs.some((input) => tensor(input).dtype === 'f32')) {
        for (const { rule, text } of problems) {
          expect(rule, name).to.equal('dtype');
          expect(text, name).to.match(/has dtypes float/);
        }
      } else if (problems.length > 0) illegal.push(name);
    }
    expect(illegal.filter((name) => !/relu-f16/.test(name))).to.deep.equal([]);
    expect(illegal).to.have.length(1);
  });
});

describe('the operations that the engine executes', () => {
  it('are the ones that are typed, but for collectives', () => {
    const typedOnly = ['AllGather', 'AllReduce', 'LinearParallel'];
    const executed = new Set(supportedOps());
    const typed: string[] = [...ATB_OPS, ...EXTENSION_OPS].map(({ type }) => type);
    expect(typed.filter((type) => !executed.has(type)).sort()).to.deep.equal(typedOnly);
    expect([...executed].filter((type) => !typed.includes(type))).to.deep.equal([]);
  });
});
