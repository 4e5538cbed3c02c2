import { ExpertRouter, type RouterNames } from '../../layers/experts/expert-router.js';
import { Experts, sharedMLP } from '../../layers/experts/experts.js';
import { SeenExperts, SeenTokens } from '../../layers/experts/seen-experts.js';
import { registerModel, routerOf } from '../../router/index.js';
import { renamed, type Weights } from '../../weights/weights.js';
import { FlashMropeForCausalLMATB } from '../base/vision/index.js';
import { LlamaLayer, type MakeLayer } from '../llama/index.js';
import { ERNIE_VL_CONFIG, type ErnieVlConfig } from './config.js';
import { processorOf } from './processor.js';
import { ErnieTower } from './vision-tower.js';

/** Experts of what is seen stand in files behind those of words, whose router has the other tensors of the same names. */
const ofSeen = (at: Weights, words: number): Weights =>
  at
    .mapped((source) =>
      renamed(source, (name) =>
        name
          .replace(/\.seen\.gate\.weight$/, '.gate.weight_1')
          .replace(/\.seen\.experts\.(\d+)\./, (_, expert) => `.experts.${Number(expert) + words}.`)
          .replace('.seen.', '.'),
      ),
    )
    .at('seen');

/** The experts of a layer. */
function ernieExperts(config: ErnieVlConfig, at: Weights): SeenExperts {
  const router = { ...config, scoring: 'softmax', sumGuard: { least: config.leastSum } } as const;
  const [words, seen] = config.widths;
  const names = { gate: 'gate.weight', correction: 'moe_statics.e_score_correction_bias' };
  const routed = (weights: Weights, moeIntermediateSize: number, own: Partial<RouterNames>) => ({
    router: new ExpertRouter(router, weights, { ...names, correctionRows: 2, transposed: true, ...own }),
    experts: new Experts({ ...config, moeIntermediateSize }, weights.at('experts')),
  });
  return new SeenExperts(
    routed(at, words, { correctionRow: 0 }),
    routed(ofSeen(at, config.numExperts), seen, { correctionRow: 1, inGraph: 'seen_router' }),
    sharedMLP({ ...config, moeIntermediateSize: words }, at.at('shared_experts')),
  );
}

/** ERNIE 4.5 that sees: its tokens of pictures have experts of their own (ERNIE 4.5 Technical Report, section 2). */
export class FlashErnieVlForCausalLMATB extends FlashMropeForCausalLMATB<ErnieVlConfig> {
  readonly name = 'ernie4_5_vl_moe';
  protected readonly encoderModule: ErnieTower;

  constructor(config: ErnieVlConfig, weights: Weights) {
    const { vision, vocabSize } = config;
    const layer: MakeLayer = (layerId, at) =>
      config.sparseLayers[layerId]
        ? new LlamaLayer(layerId, config, at, { mlp: ernieExperts(config, at.at('mlp')) })
        : new LlamaLayer(layerId, config, at, { variant: 'dense' });
    const { imageTokenId, imageStartId, imageEndId, videoTokenId, videoStartId, videoEndId } = config;
    const seen = [imageTokenId, imageStartId, imageEndId, videoTokenId, videoStartId, videoEndId];
    const ids = seen.filter((id) => id !== undefined);
    super(config, weights, { layer, front: new SeenTokens(weights.at('model'), vocabSize, ids) });
    this.encoderModule = new ErnieTower(config, weights);
  }
}

export const ErnieVlRouter = routerOf(ERNIE_VL_CONFIG, FlashErnieVlForCausalLMATB, {
  mediaProcessor: processorOf,
  about: {
    kind: 'media',
    features: ['pictures as qwen2_vl', 'text of ernie4_5_moe', 'experts of words and of what is seen'],
    reference: 'transformers',
  },
});
registerModel('ernie4_5_vl_moe', ErnieVlRouter);
