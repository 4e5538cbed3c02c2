import {
  biases,
  decoder,
  defineConfig,
  type Field,
  field,
  fullAttention,
  LLAMA_DEFAULTS,
  positive,
} from '../../layers/config/index.js';
import { registerModel, routerOf } from '../../router/index.js';
import { FlashGraniteForCausalLMATB } from '../granite/index.js';

const FACTOR = positive(1e6);

/** The defaults of a family with MiniCPM's scales. Null in config.json takes that of residuals or of logits away. */
export interface MinicpmScaleDefaults {
  readonly scaleEmb: number;
  readonly scaleDepth: number;
  readonly dimModelBase: number;
}

/** The scales of embeddings, residuals and logits, which MiniCPM names by how a model grows. */
export const minicpmScales = ({ scaleEmb, scaleDepth, dimModelBase }: MinicpmScaleDefaults) => ({
  embeddingMultiplier: field('scale_emb', FACTOR, scaleEmb),
  // What attention and MLP are multiplied by before they are added: the deeper the model, the smaller.
  residualMultiplier: {
    read: (json, { numHiddenLayers }) =>
      json.isNull('scale_depth')
        ? 1
        : field('scale_depth', FACTOR, scaleDepth).read(json, {}) / Math.sqrt(numHiddenLayers),
  } satisfies Field<number, { readonly numHiddenLayers: number }>,
  // What logits are divided by: how much wider the model is than the one that its head was tuned with.
  logitsScaling: {
    read: (json, { hiddenSize }) =>
      json.isNull('dim_model_base')
        ? 1
        : hiddenSize / field('dim_model_base', FACTOR, dimModelBase).read(json, {}),
  } satisfies Field<number, { readonly hiddenSize: number }>,
});

const attentionMultiplier: Field<number, { readonly headDim: number }> = {
  read: (_, { headDim }) => 1 / Math.sqrt(headDim),
};

/** Defaults of the published configuration_minicpm.py. */
const MINICPM_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, tieWordEmbeddings: true }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    slidingWindows: fullAttention,
    ...minicpmScales({ scaleEmb: 1, scaleDepth: 1, dimModelBase: 1 }),
    attentionMultiplier,
  },
  irrelevant: { mup_denominator: 'scales layers of drafts for speculation, not those of the model' },
});

/** Granite, which has the same scales under other names (arXiv:2404.06395, section 3). */
export class FlashMinicpmForCausalLMATB extends FlashGraniteForCausalLMATB {
  override readonly name: string = 'minicpm';
}

export const MinicpmRouter = routerOf(MINICPM_CONFIG, FlashMinicpmForCausalLMATB, {
  about: {
    kind: 'remote',
    features: ['scaled embeddings, residuals and logits'],
    reference: 'transformers, as granite',
  },
});
registerModel('minicpm', MinicpmRouter);
