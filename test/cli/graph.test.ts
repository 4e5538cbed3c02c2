import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import yargs from 'yargs';
import { parsePasses } from '../../src/cli/flags.js';
import { type GraphArguments, graphCommand, renderGraph } from '../../src/cli/graph.js';
import type { FlatGraph } from '../../src/graph/flatten.js';
import { assertLegal } from '../../src/graph/legality.js';
import { type Family, familyKinds, writeConfigs } from '../models/family-models.js';

let folder = '';
const familyPath = (family: Family): string => join(folder, family);

const render = (args: Partial<GraphArguments>): Promise<string> =>
  renderGraph({
    modelPath: familyPath('llama'),
    phase: 'prefill',
    format: 'text',
    batch: 2,
    tokens: 24,
    blockSize: 128,
    passes: 'none',
    dtype: undefined,
    modelDirs: [],
    ...args,
  });
const exported = async (args: Partial<GraphArguments>): Promise<FlatGraph> =>
  JSON.parse(await render({ ...args, format: 'json' }));

describe('atb-models graph', () => {
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-graph-'));
    writeConfigs(folder);
  });
  after(() => rmSync(folder, { recursive: true }));

  for (const { family, phase } of familyKinds) {
    it(`exports ${family} in ${phase} as flat, concrete, legal JSON`, async () => {
      const graph = await exported({ modelPath: familyPath(family), phase });
      expect(Object.keys(graph)).to.deep.equal(['name', 'inputs', 'outputs', 'nodes']);
      assertLegal(graph);
      const written = graph.nodes.flatMap(({ in: ins, out }) => out.filter((name) => !ins.includes(name)));
      expect(new Set(written).size).to.equal(written.length);
      for (const node of graph.nodes) {
        expect(
          Object.keys(node).filter((key) => !['type', 'param', 'in', 'out', 'reshape'].includes(key)),
        ).to.deep.equal([]);
      }
      expect(graph.inputs).to.include.keys('model.embed_tokens.weight', 'layer_1_v_cache', 'input_ids');
    });
  }

  it('gives inputs of operations the shape in which they see them', async () => {
    const { nodes, inputs } = await exported({ phase: 'decode' });
    const write = nodes.find(({ type }) => type === 'ReshapeAndCache');
    expect(write).to.deep.equal({
      type: 'ReshapeAndCache',
      param: {},
      in: ['layer_0.k_rope', 'layer_0.v', 'layer_0_k_cache', 'layer_0_v_cache', 'slots_mapping'],
      out: ['layer_0_k_cache', 'layer_0_v_cache'],
      reshape: { 0: [2, 2, 16], 1: [2, 2, 16] },
    });
    expect(inputs.layer_0_k_cache).to.deep.equal({ dtype: 'bf16', shape: [2, 128, 2, 16] });
    expect(inputs.slots_mapping).to.deep.equal({ dtype: 'int32', shape: [2] });
  });

  it('exports a float32 checkpoint as bf16, which ATB has, and as float when asked', async () => {
    const dtypeOf = async (args: Partial<GraphArguments>) => (await exported(args)).inputs.cos_table?.dtype;
    const config = join(familyPath('llama'), 'config.json');
    const stored = (torch_dtype: string) =>
      writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), torch_dtype }));
    stored('float16');
    expect(await dtypeOf({})).to.equal('float16');
    stored('float32');
    expect(await dtypeOf({})).to.equal('bf16');
    expect(await dtypeOf({ dtype: 'f32' })).to.equal('float');
  });

  it('applies the passes that are named', async () => {
    const mistral = { modelPath: familyPath('mistral') };
    expect(await render({ ...mistral, passes: parsePasses('none') })).to.match(
      /attention_mask, seq_len\).*maskType: MASK_TYPE_NORM/,
    );
    expect(await render({ ...mistral, passes: parsePasses('implicit-masks') })).to.match(
      /causal: true, windowSize: 24\}/,
    );
    expect(parsePasses('a, b')).to.deep.equal(['a', 'b']);
  });

  it('refuses sizes that make no step', async () => {
    const message = async (args: Partial<GraphArguments>) =>
      render(args).then(
        () => '',
        (error: Error) => error.message,
      );
    expect(await message({ batch: 0 })).to.match(
      /REQUEST_INVALID: --batch must be an integer from 1 to 2\^24, found 0/,
    );
    expect(await message({ tokens: 1.5 })).to.match(/--tokens must be/);
    expect(await message({ batch: 8, tokens: 4 })).to.match(
      /--tokens must be at least one for each of the 8 sequences, found 4/,
    );
    expect(await message({ batch: 8, tokens: 4, phase: 'decode' })).to.equal('');
  });

  it('is a command that writes a file', async () => {
    const output = join(folder, 'graph.svg');
    const args = [
      'graph',
      '--model_path',
      familyPath('qwen3'),
      '--phase',
      'splitfuse',
      '--format',
      'svg',
      '--output',
      output,
    ];
    await yargs(args).command(graphCommand).strict().exitProcess(false).parseAsync();
    expect(readFileSync(output, 'utf8')).to.match(/^<svg [\s\S]*<\/svg>\n$/);
  });
});
