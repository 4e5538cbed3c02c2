import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { PositionFreeAttention } from '../../layers/attention/attention-orders.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { registerModel, routerOf } from '../../router/index.js';
import { rowsAbout, STRIDED_SOUND, stridedSound } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { SoundTower } from '../base/audio/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { besideHead } from '../base/text-within.js';
import { OMNIASR_CONFIG, type OmniasrConfig } from './config.js';
import { omniasrProcessor, ROWS_OF_RESULT } from './processor.js';
import { ConvolvedPlaces, StridedFront } from './sound-front.js';

export { OMNIASR_CONFIG } from './config.js';

const TEXT = 'model.language_model';

/** Rows are normed and come to the size of words. */
class NormedRows extends Module {
  constructor(
    readonly norm: BaseLayerNorm,
    readonly projector: Linear,
  ) {
    super();
  }

  buildGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    return buildLinear(graph, this.projector, this.norm.buildGraph(graph, hidden), 'projector_out');
  }
}

/** wav2vec 2.0 as a tower: convolutions over samples, then layers whose rows all see each other. */
function soundTower({ audio }: OmniasrConfig, tower: Weights, projector: Linear): SoundTower {
  const { hiddenSize, numHeads, numLayers, layerNormEps, places } = audio;
  const norm = (at: Weights) => new BaseLayerNorm(at, hiddenSize, layerNormEps, { hasBias: true });
  const attention = encoderAttention({ hiddenSize, numHeads, qkvBias: true, denseBias: true });
  const layers = Array.from({ length: numLayers }, (_, number) => {
    const [at, layerId] = [tower.at('layers').at(number), 1 + number];
    return new PreNormLayer(layerId, at, {
      inputLayernorm: norm(at.at('layer_norm')),
      selfAttn: new PositionFreeAttention(layerId, attention, at.at('attention'), { dense: 'out_proj' }),
      postAttentionLayernorm: norm(at.at('final_layer_norm')),
      mlp: new UngatedMLP({ ...audio, mlpBias: true }, at.at('feed_forward'), {
        names: { up: 'intermediate_dense', down: 'output_dense' },
      }),
    });
  });
  return new SoundTower(
    new StridedFront(tower.at('subsampling'), audio),
    [new ConvolvedPlaces(tower.at('encode_positions'), audio), ...layers],
    new NormedRows(norm(tower.at('layer_norm')), projector),
    [stridedSound(audio, ROWS_OF_RESULT), rowsAbout(places, places / 2, ROWS_OF_RESULT)],
    STRIDED_SOUND.samples,
  );
}

/** Llama that writes down what wav2vec 2.0 hears (arXiv:2511.09690). */
export class FlashOmniasrForCausalLMATB extends FlashInsertingATB<OmniasrConfig> {
  readonly name = 'omniasr';
  protected readonly encoderModule: SoundTower;

  constructor(config: OmniasrConfig, weights: Weights) {
    super(config, besideHead(weights, TEXT), TEXT);
    const parts = [{ name: 'multi_modal_projector', outFeatures: config.hiddenSize }] as const;
    const inner = weights.at('model');
    const projector = Linear.load(inner, { parts, inFeatures: config.audio.hiddenSize, hasBias: true });
    this.encoderModule = soundTower(config, inner.at('audio_tower'), projector);
  }
}

export const OmniasrRouter = routerOf(OMNIASR_CONFIG, FlashOmniasrForCausalLMATB, {
  headNames: { embedding: `${TEXT}.embed_tokens`, head: 'lm_head' },
  mediaProcessor: omniasrProcessor,
  about: {
    kind: 'media',
    features: ['samples of sound of up to 40 s', 'wav2vec 2.0', 'text of llama'],
    reference: 'transformers',
  },
});
registerModel('omniasr', OmniasrRouter);
