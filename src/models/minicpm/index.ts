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

/** What attention and MLP are multiplied by before they are added: the deeper the model, the smaller. */
const residualMultiplier: Field<number, { readonly numHiddenLayers: number }> = {
  read: (json, { numHiddenLayers }) => {
    return field('scale_depth', FACTOR, 1).read(json, {}) / Math.sqrt(numHiddenLayers);
  },
};

/** What logits are divided by: how much wider the model is than the one that its head was tuned with. */
const logitsScaling: Field<number, { readonly hiddenSize: number }> = {
  read: (json, { hiddenSize }) => hiddenSize / field('dim_model_base', FACTOR, 1).read(json, {}),
};

const attentionMultiplier: Field<number, { readonly headDim: number }> = {
  read: (_, { headDim }) => 1 / Math.sqrt(headDim),
};

/** Defaults of the published configuration_minicpm.py. */
const MINICPM_CONFIG = defineConfig({
  fields: {
    ...decoder({ ...LLAMA_DEFAULTS, tieWordEmbeddings: true }),
    ...biases({ qkv: 'attention_bias', dense: 'attention_bias', mlp: false }),
    slidingWindows: fullAttention,
    embeddingMultiplier: field('scale_emb', FACTOR, 1),
    attentionMultiplier,
    residualMultiplier,
    logitsScaling,
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
