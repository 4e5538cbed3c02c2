import type { AtbGraph } from '../../graph/atb-graph.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { type ChatFormat, registerModel, routerOf } from '../../router/index.js';
import { PATCHES, patches, type StepInput } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { FUYU_CONFIG, type FuyuConfig } from './config.js';
import { FuyuProcessor } from './processor.js';

export { FUYU_CONFIG } from './config.js';

const TEXT = 'language_model';

/** Pictures, what is asked of them, the token with which answers begin (transformers 5.24, `FuyuProcessor`). */
const FUYU_CHAT: ChatFormat = {
  template: `{%- if messages | length > 1 -%}
{{ raise_exception('Fuyu answers one message: it knows no turns') }}
{%- endif -%}
{%- set content = messages[0].content -%}
{%- if content is string -%}{{ bos_token + content }}
{%- else -%}
{%- for part in content if part.type == 'image' -%}|SPEAKER|{%- endfor -%}
{%- for part in content if part.type == 'text' -%}{{ ' ' + part.text }}{%- endfor -%}
{{- '<0x04>' -}}
{%- endif -%}`,
};

/** Pixels of a patch become a token by one product: [patches, pixels] -> [patches, out]. */
class PatchProduct extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly linear: Linear;

  constructor({ patchSize, hiddenSize: outFeatures }: FuyuConfig, weights: Weights) {
    super();
    const inFeatures = 3 * patchSize ** 2;
    this.stepInputs = [patches(inFeatures)];
    const parts = [{ name: 'vision_embed_tokens', outFeatures }] as const;
    this.linear = Linear.load(weights, { parts, inFeatures, hasBias: true });
  }

  buildGraph(graph: AtbGraph): string {
    return buildLinear(graph, this.linear, PATCHES, 'patch_out');
  }
}

/** Persimmon that sees patches of pictures without an encoder (Adept, Fuyu-8B). */
export class FlashFuyuForCausalLMATB extends FlashInsertingATB<FuyuConfig> {
  readonly name = 'fuyu';
  protected readonly encoderModule: PatchProduct;

  constructor(config: FuyuConfig, weights: Weights) {
    super(config, weights, TEXT);
    this.encoderModule = new PatchProduct(config, weights);
  }
}

export const FuyuRouter = routerOf(FUYU_CONFIG, FlashFuyuForCausalLMATB, {
  headNames: headNamesWithin('persimmon', TEXT),
  mediaProcessor: (folder, config, encode) => FuyuProcessor.load(folder, config, encode),
  chatFormat: () => FUYU_CHAT,
  about: {
    kind: 'media',
    features: ['pictures of any shape without an encoder', 'text of persimmon'],
    reference: 'transformers',
  },
});
registerModel('fuyu', FuyuRouter);
