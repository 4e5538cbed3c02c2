import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseRMSNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { gridAxes, insertedRows, type StepInput } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { BaseModelATB } from '../base/base-model-atb.js';
import { FlashWithEncoderATB } from '../base/flash-with-encoder-atb.js';
import { buildGridAxesGraph, buildInsertGraph } from '../base/insert-steps.js';
import { HunyuanAttention } from '../hunyuan_v1_dense/index.js';
import { LlamaLayer } from '../llama/index.js';
import { HUNYUAN_VL_CONFIG, type HunyuanVlConfig } from './config.js';
import { HunyuanVlProcessor } from './processor.js';
import { HunyuanVlTower } from './vision-tower.js';

/** Hunyuan's dense text among whose embeddings are those of pictures, turned by places in them, too. */
class HunyuanVlModel extends BaseModelATB {
  private readonly sections: readonly number[];

  constructor(config: HunyuanVlConfig, weights: Weights) {
    super(config, weights, {
      layer(layerId, at) {
        const selfAttn = new HunyuanAttention(layerId, config, at.at('self_attn'));
        return new LlamaLayer(layerId, config, at, { selfAttn });
      },
      norm: new BaseRMSNorm(weights.at('norm'), config.hiddenSize, config.rmsNormEps),
    });
    this.sections = config.sections;
  }

  override buildInputGraph(graph: AtbGraph, kind: GraphKind): string {
    const hidden = buildInsertGraph(graph, kind, this.buildWordEmbeddingGraph(graph));
    buildGridAxesGraph(graph, kind, this.sections);
    return hidden;
  }
}

/** HunyuanOCR: documents of any size, four axes of positions (arXiv:2511.19575, section 2). */
export class FlashHunyuanVlForCausalLMATB extends FlashWithEncoderATB<HunyuanVlConfig> {
  readonly name = 'hunyuan_vl';
  protected readonly model: HunyuanVlModel;
  protected readonly encoderModule: HunyuanVlTower;

  constructor(config: HunyuanVlConfig, weights: Weights) {
    super(config, weights);
    this.model = new HunyuanVlModel(config, weights.at('model'));
    this.encoderModule = new HunyuanVlTower(config, weights.at('vit'));
  }

  protected override get decoderInputs(): readonly StepInput[] {
    const { rope, hiddenSize } = this.config;
    const [tokenIds, , ...others] = super.decoderInputs;
    return [...(tokenIds ? [tokenIds] : []), ...[gridAxes(rope), ...others, insertedRows(hiddenSize)]];
  }
}

export const HunyuanVlRouter = routerOf(HUNYUAN_VL_CONFIG, FlashHunyuanVlForCausalLMATB, {
  // What would part the frames of a video, and of the table of positions the row that nobody takes.
  harmlessTensors: [/^vit\.(perceive\.image_sep|embeddings\.position_embedding\.weight)$/],
  mediaProcessor: (folder, config) => HunyuanVlProcessor.read(folder, config),
  about: {
    kind: 'media',
    features: [
      'pictures of any size',
      'text of hunyuan_v1_dense',
      'positions of four axes, by stretches of a head',
    ],
    reference: 'transformers',
  },
});
registerModel('hunyuan_vl', HunyuanVlRouter);
