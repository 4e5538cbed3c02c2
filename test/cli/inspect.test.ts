import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { checkModel } from '../../src/cli/check.js';
import { inspectModel } from '../../src/cli/inspect.js';
import { inspectionText } from '../../src/cli/inspection-text.js';
import { familyCheckpoint } from '../oracle/families.js';
import { PUBLISHERS, type Publisher, publish, storeOf } from '../oracle/published.js';
import { type SeededWeights, seededSafetensors } from '../oracle/seeded-weights.js';
import { failure, safetensorsBytes, someBytes, temporaryFolder } from '../weights/safetensors-writer.js';

const oracle = 'test/fixtures/oracle';

describe('atb-models inspect', () => {
  const path = temporaryFolder();
  let count = 0;

  /** A copy of a fixture, with members of its config.json replaced and files added. */
  function copyOf(
    fixture: string,
    config: Readonly<Record<string, unknown>> = {},
    files: Readonly<Record<string, string | Uint8Array>> = {},
  ): string {
    const folder = path(`copy-${count++}`);
    cpSync(join(oracle, fixture), folder, { recursive: true });
    const dict = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>;
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...dict, ...config }));
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    return folder;
  }

  it('tells how a quantised checkpoint is stored, and how fast it may decode', async () => {
    const folders = { published: path('gptq'), dequantized: path('gptq-floats') };
    await publish(join(oracle, 'llama'), storeOf(PUBLISHERS['gptq-4-act-order'] as Publisher), folders);
    const found = await inspectModel({ modelPath: folders.published, measure: true });
    expect(found.problems).to.deep.equal([]);
    expect(found.weights?.unused).to.deep.equal([]);
    const form = { desc: 'W4A16', groupSize: 32, hasOffset: true };
    const [sorted, folded, ...others] = found.weights?.stored?.forms ?? [];
    expect(sorted).to.include({ ...form, isReordered: true, linears: 9 });
    // Gate and up give down its channels in its order.
    expect(folded).to.include({ ...form, isReordered: false, linears: 3 });
    expect(others).to.deep.equal([]);
    // 4 bits, and for 32 weights or fewer a scale of 32 bits and a zero point of 4: between 5.1 and 5.5 with the orders.
    expect(sorted?.bitsPerWeight).to.be.within(5.1, 5.5);
    expect(found.speed?.tokensPerSecond).to.be.above(1);
    const text = inspectionText(found);
    for (const piece of [
      'quantised: "gptq (4 bits)"',
      '9 products W4A16, groups of 32, zero points, act-order: 5.',
      '3 products W4A16, groups of 32, zero points: 5.',
      'not quantised  "lm_head.weight"\n',
      'tokens/s of one sequence',
    ])
      expect(text).to.contain(piece);
  });

  it('writes what a name holds that moves the cursor as escapes, and errors do', async () => {
    const modelPath = path('a\nb\u{1b}[31m');
    mkdirSync(modelPath);
    const found = await inspectModel({ modelPath });
    const [directory] = inspectionText(found).split('\n');
    expect(directory).to.match(/a\\u\{a\}b\\u\{1b\}\[31m$/);
    expect(found.problems[0]?.message).to.match(/a\\u\{a\}b\\u\{1b\}\[31m\/config\.json/);
  });

  it('tells the model class, the weights by dtype and the memory from headers', async () => {
    const found = await inspectModel({ modelPath: join(oracle, 'llama') });
    expect(found).to.include({
      modelType: 'llama',
      modelClass: 'FlashLlamaForCausalLMATB',
    });
    expect(found.architectures).to.deep.equal(['LlamaForCausalLM']);
    expect(found.problems).to.deep.equal([]);
    expect(found.weights).to.deep.equal({
      files: 1,
      tensors: 51,
      bytes: 480_128,
      dtypes: { F32: { tensors: 51, bytes: 480_128 } },
      unused: [],
    });
    // 3 layers, 2 heads of 16 for keys and for values, 4 bytes each; a table row has 16 cosines and 16 sines. The model's
    // 256 tokens are two blocks. What packing adds to weights, and activations, test/runner/estimate-memory.test.ts knows.
    expect(found.memory).to.include({
      dtype: 'f32',
      cacheDType: 'f32',
      kvBytesPerToken: 3 * 2 * 2 * 16 * 4,
      context: 256,
      batch: 1,
      cacheBytes: 256 * 768,
      positionBytes: 256 * 2 * 16 * 4,
      longestContext: 256,
    });
    const { weightBytes = 0, activationBytes = 0, totalBytes = 0 } = found.memory ?? {};
    expect(weightBytes).to.be.within(480_128, 500_000);
    expect(totalBytes).to.equal(weightBytes + activationBytes + 256 * 768 + 256 * 128);
    const text = inspectionText(found);
    for (const piece of [
      'runs as FlashLlamaForCausalLMATB',
      '51 tensors in 1 file',
      '768 bytes per token',
      'up to 256 tokens',
    ]) {
      expect(text).to.contain(piece);
    }
  });

  it('counts a tied embedding once, and memory in the dtype that is asked for', async () => {
    const modelPath = join(oracle, 'llama-tied');
    const own = await inspectModel({ modelPath, contextLen: 10 });
    const wide = await inspectModel({ modelPath, contextLen: 10, dtype: 'f32' });
    expect(own.memory).to.include({ dtype: 'bf16', context: 10, batch: 1 });
    expect(own.memory?.weightBytes).to.be.within(own.weights?.bytes ?? 0, 1.1 * (own.weights?.bytes ?? 0));
    // In bf16 the input channels of a packed matrix are padded to 32.
    const twice = 2 * (own.memory?.weightBytes ?? 0);
    expect(wide.memory?.weightBytes).to.be.within(0.95 * twice, twice);
  });

  it('counts a KV cache of int8 with its scales', async () => {
    const found = await inspectModel({ modelPath: join(oracle, 'llama'), contextLen: 10, kvQuant: 'int8' });
    expect(found.memory).to.include({
      cacheDType: 'i8',
      kvBytesPerToken: 3 * 2 * 2 * (16 + 4),
      cacheBytes: 128 * 240,
    });
    expect(inspectionText(found)).to.contain('per token in i8');
    const kvQuant = 'int3' as 'int8';
    await failure('REQUEST_INVALID', () => inspectModel({ modelPath: join(oracle, 'llama'), kvQuant }));
  });

  it('counts of a model without attention the states of its few large blocks', async () => {
    const checkpoint = familyCheckpoint('mamba2');
    try {
      const found = await inspectModel({ modelPath: checkpoint.path, contextLen: 4096 });
      // Of three layers: three tokens of a convolution, and heads of 32 by 32.
      const states = 3 * (3 * (128 + 2 * 32) + 128 * 32) * 4;
      expect(found.memory).to.include({ kvBytesPerToken: 0, cacheBytes: (4096 / 2048) * states });
      expect(inspectionText(found)).to.contain('no attention');
    } finally {
      checkpoint.remove();
    }
  });

  it('counts of latent attention one vector and one key a token, which all heads share', async () => {
    const checkpoint = familyCheckpoint('minicpm3');
    try {
      const bytes = async (options: Partial<Parameters<typeof inspectModel>[0]>) =>
        (await inspectModel({ modelPath: checkpoint.path, ...options })).memory?.kvBytesPerToken;
      expect(await bytes({})).to.equal(3 * (32 + 16) * 4);
      expect(await bytes({ kvQuant: 'int8' })).to.equal(3 * (32 + 16 + 4));
      const text = inspectionText(await inspectModel({ modelPath: checkpoint.path }));
      expect(text).to.contain('4 heads over a latent vector of 32 and a key of 16 that turns');
    } finally {
      checkpoint.remove();
    }
  });

  it('names the nearest family of an unknown one, and still lists the weights', async () => {
    const found = await inspectModel({ modelPath: copyOf('qwen3', { model_type: 'qwen33' }) });
    expect(found).to.include({ modelClass: undefined, nearest: 'qwen3', memory: undefined });
    expect(found.weights).to.include({ tensors: 36, unused: undefined });
    expect(found.problems.map(({ code }) => code)).to.deep.equal(['ROUTER_UNKNOWN_MODEL']);
    expect(inspectionText(found)).to.contain('not supported; the nearest that is: qwen3');
  });

  it('names the weight that is missing or mis-shaped, and those that nobody reads', async () => {
    const deeper = await inspectModel({ modelPath: copyOf('llama', { num_hidden_layers: 4 }) });
    expect(deeper.problems[0]?.message).to.contain('model.layers.3.');
    const wider = await inspectModel({ modelPath: copyOf('llama', { intermediate_size: 100 }) });
    expect(wider.problems.map(({ code }) => code)).to.deep.equal(['WEIGHT_SHAPE_MISMATCH']);
    const shallower = await inspectModel({ modelPath: copyOf('llama', { num_hidden_layers: 2 }) });
    expect(shallower.problems).to.deep.equal([]);
    expect(shallower.weights?.unused).to.include('model.layers.2.self_attn.q_proj.weight');
    expect(inspectionText(shallower)).to.match(/unused +"model\.layers\.2\..*" and \d+ more/);
  });

  it('names layers that guess further tokens, which are left out whatever they are called', async () => {
    const folder = path('prediction');
    const source = 'test/fixtures/families/glm4_moe';
    const recipe: SeededWeights = JSON.parse(readFileSync(join(source, 'weights.json'), 'utf8'));
    const named = { ...recipe.tensors, 'model.mtp_block.0.weight': { shape: [8, 8], mean: 0, std: 1 } };
    const dict = JSON.parse(readFileSync(join(source, 'config.json'), 'utf8'));
    mkdirSync(folder);
    writeFileSync(join(folder, 'model.safetensors'), seededSafetensors({ ...recipe, tensors: named }));
    const withLayers = async (layers: object) => {
      writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...dict, ...layers }));
      return inspectModel({ modelPath: folder });
    };
    const found = await withLayers({ num_hidden_layers: 2, num_nextn_predict_layers: 1 });
    expect(found.problems).to.deep.equal([]);
    expect(found.weights).to.deep.include({ unused: [] });
    expect(found.weights?.prediction?.tensors).to.include.members([
      'model.layers.2.mlp.gate.weight',
      'model.mtp_block.0.weight',
    ]);
    expect(inspectionText(found)).to.match(
      /left out +"model\.\S+ and \d+ more, .* of layers that guess further/,
    );
    const findings = await checkModel({ modelPath: folder });
    expect(findings.filter(({ subject }) => subject === 'weights')).to.deep.equal([]);
    // Layers behind the last are no such layers where config.json has none.
    const others = await withLayers({ num_hidden_layers: 2, num_nextn_predict_layers: 0 });
    expect(others.weights?.unused).to.include('model.layers.2.mlp.gate.weight');
  });

  it('names the keys of config.json that nobody reads', async () => {
    const found = await inspectModel({ modelPath: copyOf('llama', { unsloth_version: '2025', note: [1] }) });
    expect(found.problems).to.deep.equal([]);
    expect(found.config?.unreadKeys).to.deep.equal([
      { key: 'unsloth_version', value: '"2025"' },
      { key: 'note', value: '[1]' },
    ]);
    expect(inspectionText(found)).to.match(/unread keys +"unsloth_version", "note"/);
  });

  it('finds the chat template where transformers looks for it, and says when it is broken', async () => {
    const places = {
      'tokenizer_config.json': '{"chat_template":"{{ messages }}"}',
      'chat_template.json': '{"chat_template":"{{ messages }}"}',
      'chat_template.jinja': '{{ messages }}',
    };
    for (const [file, content] of Object.entries(places)) {
      const found = await inspectModel({ modelPath: copyOf('llama', {}, { [file]: content }) });
      expect(found.chatTemplates).to.have.length(1);
      expect(found.chatTemplates?.[0]).to.contain(file);
      expect(inspectionText(found)).to.contain(file);
    }
    const none = await inspectModel({ modelPath: copyOf('llama', {}, { 'tokenizer_config.json': '{}' }) });
    expect(none.chatTemplates).to.deep.equal([]);
    const broken = await inspectModel({
      modelPath: copyOf('llama', {}, { 'chat_template.jinja': '{% if %}' }),
    });
    expect(broken.problems.map(({ code }) => code)).to.deep.equal(['TEMPLATE_INVALID']);
  });

  it('says whether there is a tokenizer, and what is wrong with it', async () => {
    const whole = await inspectModel({ modelPath: 'examples/models/tiny-stories' });
    expect([whole.tokenizer, whole.problems]).to.deep.equal(['tokenizer.json', []]);
    const none = await inspectModel({ modelPath: copyOf('llama') });
    expect([none.tokenizer, none.problems]).to.deep.equal(['none', []]);
    expect(none.warnings.join()).to.match(/has no tokenizer\.json; .*--load_tokenizer False/);
    const piecesDir = copyOf('llama');
    cpSync('test/fixtures/text/bpe-as-llama-2.model', join(piecesDir, 'tokenizer.model'));
    const pieces = await inspectModel({ modelPath: piecesDir });
    expect([pieces.tokenizer, pieces.problems]).to.deep.equal(['tokenizer.model', []]);
    const broken = await inspectModel({
      modelPath: copyOf('llama', {}, { 'tokenizer.json': '{"model":{}}' }),
    });
    expect(broken.problems.map(({ code }) => code)).to.deep.equal(['TOKENIZER_INVALID']);
    expect(inspectionText(broken)).to.match(/tokenizer +broken/);
  });

  it('warns of what generation_config.json says that cannot be used', async () => {
    const presets = { 'generation_config.json': '{"do_sample": true, "top_p": 3}' };
    const { warnings, problems } = await inspectModel({ modelPath: copyOf('llama', {}, presets) });
    expect(problems).to.deep.equal([]);
    expect(warnings.join()).to.match(/generation_config\.json: top_p must be .* found 3/);
  });

  it('reports every problem of a broken directory', async () => {
    const folder = path('broken');
    mkdirSync(folder);
    writeFileSync(join(folder, 'config.json'), '{"model_type":"llama"}');
    writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes([]).subarray(0, 9));
    writeFileSync(join(folder, 'tokenizer_config.json'), '{');
    const found = await inspectModel({ modelPath: folder });
    const codes = ['CONFIG_INVALID', 'WEIGHT_FILE_TRUNCATED', 'TOKENIZER_INVALID'];
    expect(found.problems.map(({ code }) => code)).to.deep.equal(codes);
    for (const { message } of found.problems) expect(inspectionText(found)).to.contain(message);
    const absent = await inspectModel({ modelPath: path('absent') });
    expect(absent.problems.map(({ code }) => code)).to.deep.equal(['CONFIG_INVALID']);
  });

  it('prints names out of files without their control characters', async () => {
    const weights = safetensorsBytes([{ name: '\u001b[2J\n', dtype: 'U8', shape: [1], data: someBytes(1) }]);
    const config = { model_type: 'llama\u001b[31m', architectures: ['\u009b31m', 7] };
    const found = await inspectModel({
      modelPath: copyOf('llama', config, { 'model.safetensors': weights }),
    });
    expect(found.architectures).to.have.length(1);
    expect(inspectionText(found).replaceAll('\n', '')).to.not.match(/\p{Cc}/u);
  });

  it('refuses a context and a number of sequences that are none, and a context that the model has not', async () => {
    for (const wrong of [0, -1, 1.5, Number.NaN, 257]) {
      await failure('REQUEST_INVALID', () =>
        inspectModel({ modelPath: join(oracle, 'llama'), contextLen: wrong }),
      );
    }
  });
});
