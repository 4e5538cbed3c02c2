import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import yargs from 'yargs';
import { parsePasses } from '../../src/cli/flags.js';
import { type GraphArguments, graphCommand, renderGraph } from '../../src/cli/graph.js';
import type { FlatGraph } from '../../src/graph/flatten.js';
import { assertLegal } from '../../src/graph/legality.js';
import type { NestedExport, NestedGraph } from '../../src/graph/nested-graph.js';
import { type Family, familyKinds, writeConfigs } from '../models/family-models.js';
import { VISION_DIR, visionCases } from '../oracle/vision.js';

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
  JSON.parse(await render({ ...args, format: 'json', flat: true }));

/** Encoders that convolve each channel, for which ATB has no operation. */
const CONVOLVING = /^(fast_vlm|llava_qwen2|gemma3n)\b/;

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

  for (const name of visionCases.filter((each) => !CONVOLVING.test(each)))
    it(`exports the encoder of ${name}, with int8 activations outside of its layers, too`, async () => {
      const args = { phase: 'encode', format: 'json', quantize: 'w8a8_dynamic', dtype: 'bf16' } as const;
      const { graphs } = JSON.parse(
        await render({ modelPath: join(VISION_DIR, name), ...args }),
      ) as NestedExport;
      const outer = graphs.at(-1) as NestedGraph;
      expect(outer.nodes.filter((node) => 'type' in node && node.type === 'DynamicQuant')).to.deep.equal([]);
    });

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
    for (const flat of [true, false]) {
      const error = await render({ dtype: 'f32', format: 'json', flat }).then(
        () => '',
        (failure: Error) => failure.message,
      );
      expect(error).to.match(/^GRAPH_ILLEGAL: .*has dtypes float/);
    }
    const warnings: string[] = [];
    const onWarning = (text: string): void => {
      warnings.push(text);
    };
    expect(await render({ dtype: 'f32', onWarning })).to.match(/^graph llama_prefill_graph/);
    expect(warnings[0]).to.match(/^ATB would refuse this graph \(rule dtype\): .*has dtypes float/);
    expect(warnings.at(-1)).to.match(/\d+ more problems$/);
    expect(warnings).to.have.length(6);
    warnings.length = 0;
    await render({ onWarning });
    expect(warnings).to.deep.equal([]);
  });

  for (const { family, phase } of familyKinds) {
    it(`exports ${family} in ${phase} as nested graphs, equal layers once`, async () => {
      const { name, inputs, graphs }: NestedExport = JSON.parse(
        await render({ modelPath: familyPath(family), phase, format: 'json' }),
      );
      const outer = graphs.at(-1) as NestedGraph;
      expect([outer.name, outer.executeAsSingle, outer.inputs]).to.deep.equal([
        name,
        false,
        Object.keys(inputs),
      ]);
      const hasBothLayers = family === 'qwen2';
      expect(graphs).to.have.length(hasBothLayers ? 3 : 2);
      const placed = outer.nodes.filter((node) => 'graph' in node);
      expect(placed).to.have.length(3);
      for (const graph of graphs) {
        const { inputs: given, outputs, nodes, reshapes } = graph;
        const known = new Set([...given, ...nodes.flatMap((node) => node.out), ...Object.keys(reshapes)]);
        for (const tensor of [...nodes.flatMap((node) => node.in), ...outputs])
          expect(known).to.include(tensor);
        for (const { tensor } of Object.values(reshapes)) expect(reshapes).not.to.have.property(tensor);
        const lengths = phase === 'splitfuse' ? ['seq_len', 'q_len'] : ['seq_len'];
        expect(graph.hostInputs).to.have.members(lengths);
      }
    });
  }

  it('exports reshapes by axes, so that a graph serves steps of any size', async () => {
    const { graphs }: NestedExport = JSON.parse(await render({ format: 'json', phase: 'decode' }));
    expect(graphs[0]?.reshapes).to.deep.equal({
      attention_k: { tensor: 'k_rope', shape: [{ axes: [0] }, 2, 16] },
      attention_v: { tensor: 'v', shape: [{ axes: [0] }, 2, 16] },
      attention_q: { tensor: 'q_rope', shape: [{ axes: [0] }, 4, 16] },
      attn_out: { tensor: 'attention_heads', shape: [{ axes: [0] }, { axes: [1, 2] }] },
    });
    expect(await render({ format: 'json', phase: 'decode', tokens: 512, batch: 3 })).to.include(
      '{"tensor":"v","shape":[{"axes":[0]},2,16]}',
    );
  });

  it('refuses a flat graph that has more tensors than ATB holds, and exports it nested', async () => {
    const deep = join(folder, 'deep');
    mkdirSync(deep);
    const config = JSON.parse(readFileSync(join(familyPath('qwen3'), 'config.json'), 'utf8'));
    writeFileSync(join(deep, 'config.json'), JSON.stringify({ ...config, num_hidden_layers: 32 }));
    const options = { modelPath: deep, phase: 'decode', format: 'json' } as const;
    const error = await render({ ...options, flat: true }).then(
      () => '',
      (failure: Error) => failure.message,
    );
    expect(error).to.match(/GRAPH_ILLEGAL: .*has \d{3} inputs, at most 256 are possible/);
    expect(error).to.match(/has \d+ inner tensors, at most 256 are possible/);
    expect((JSON.parse(await render(options)) as NestedExport).graphs).to.have.length(2);
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

  it('refuses json of integers in groups as large as the depth, and warns in text', async () => {
    const options = { quantize: 'w4a16', quantGroupSize: 64 } as const;
    const rule = /quantGroupSize must be 0 or a multiple of 32 below 64, found 64/;
    for (const flat of [true, false]) {
      const error = await render({ ...options, format: 'json', flat }).then(
        () => '',
        (failure: Error) => failure.message,
      );
      expect(error)
        .to.match(/^GRAPH_ILLEGAL/)
        .and.match(rule);
    }
    const warnings: string[] = [];
    await render({ ...options, onWarning: (text) => warnings.push(text) });
    expect(warnings[0]).to.match(rule);
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
    await yargs(args)
      .command({ command: 'graph', ...graphCommand })
      .strict()
      .exitProcess(false)
      .parseAsync();
    expect(readFileSync(output, 'utf8')).to.match(/^<svg [\s\S]*<\/svg>\n$/);
  });
});
