import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { DECODER_KINDS } from '../../src/graph/graph-kind.js';
import { legalityProblems } from '../../src/graph/legality.js';
import * as atbModels from '../../src/index.js';
import { getModel } from '../../src/models/get-model.js';
import { declaredWeights } from '../../src/weights/weights.js';
import { flat } from './family-models.js';

const PACKAGE = join(import.meta.dirname, '../../..');
const CONFIG = {
  model_type: 'my_olmo2',
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: 64,
  max_position_embeddings: 128,
};

const PAGE = readFileSync(join(PACKAGE, 'docs/adding-a-model.md'), 'utf8');

describe('the model of docs/adding-a-model.md', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'atb-documented-'));
    const [, example = ''] = /```js\n([\s\S]*?)```/.exec(PAGE) ?? [];
    mkdirSync(join(folder, 'my-models/my-olmo2'), { recursive: true });
    writeFileSync(join(folder, 'my-models/my-olmo2/index.mjs'), example);
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(PACKAGE, join(folder, 'node_modules/atb-models'), 'dir');
    writeFileSync(join(folder, 'config.json'), JSON.stringify(CONFIG));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('is found in a folder of the user, and builds three legal graphs', async () => {
    const router = await getModel(folder, { modelDirs: [join(folder, 'my-models')] });
    const model = router.createModel(declaredWeights('bf16'));
    for (const kind of DECODER_KINDS) {
      const spec = model.buildGraph(kind);
      expect(spec.name).to.equal(`my_olmo2_${kind.name}_graph`);
      expect(legalityProblems(flat(model, spec, kind))).to.deep.equal([]);
      const layer = spec.nodes.flatMap(({ op }) => ('graph' in op ? [op.graph] : []))[0];
      const steps = layer?.nodes
        .map(({ name }) => name)
        .filter((name) => /norm|residual|mlp|down|dense|layer_out/.test(name));
      expect(steps).to.deep.equal([
        'q_norm',
        'k_norm',
        'dense',
        'post_attention_layernorm',
        'attn_residual_add',
        'down',
        'post_feedforward_layernorm',
        'layer_out_add',
      ]);
    }
  });

  it('is made of classes that the package exports, as is what the page names elsewhere', () => {
    const named = (pattern: RegExp) => [...PAGE.matchAll(pattern)].map(([, name = '']) => name);
    const types = ['ConfigOf', 'LinearPart', 'LlamaNames'];
    const own = [...named(/\bclass (\w+)/g), 'FlashFooForCausalLMATB', ...types];
    const others = named(/(?:`|\bnew |`\.\.\.)([A-Z][a-z]\w*)(?=[`(])/g).filter(
      (name) => !own.includes(name),
    );
    expect(others).to.include.members(['BaseMLP', 'AltUp', 'ClippedLinear']);
    expect(others.filter((name) => !Object.hasOwn(atbModels, name))).to.deep.equal([]);
  });
});
