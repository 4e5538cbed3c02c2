import { BaseRMSNorm } from '../../layers/norms/norms.js';
import {
  ENDED_ROWS,
  encoderSinusoids,
  endedRows,
  MEL_PLANES,
  soundContext,
  TIME_GROUPS,
  type TimeGroup,
  timeGroups,
  wholeMelPlanes,
  wholePlanesOf,
} from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import {
  CONFORMER_EPSILON,
  ConformerLayer,
  causalConv,
  HalvedFront,
  normedHalfStep,
  PlainProduct,
  RelativeAttention,
  SoundTower,
  TimeNorm,
} from '../base/audio/index.js';
import type { Gemma3nAudioConfig, Gemma3nWholeConfig } from './config.js';
import { EndedEmbedder } from './ended-embedder.js';

/** The Universal Speech Model's encoder (arXiv:2303.01037), whose rows see themselves and those before them alone. */
export function gemma3nSoundTower(
  config: Gemma3nWholeConfig,
  audio: Gemma3nAudioConfig,
  tower: Weights,
  embedder: Weights,
): SoundTower {
  const { hiddenSize, numLayers, numHeads, channels, span, taps, softcap, melBins, groupEps, every } = audio;
  const product = (...of: ConstructorParameters<typeof PlainProduct>) => new PlainProduct(...of);
  const front = tower.at('subsample_conv_projection');
  const [, { wide: firstBins }, { wide: secondBins }] = wholePlanesOf(1, melBins);
  const part = (index: 0 | 1) => {
    const weights = front.at(`conv_${index}`);
    const sizes = { channels: channels[index], bins: [firstBins, secondBins][index] as number };
    const group = TIME_GROUPS[index] as TimeGroup;
    const norm = new TimeNorm(weights.at('norm'), { ...sizes, epsilon: groupEps }, group, `norm_${index}`);
    return { weights, norm };
  };
  const sizes = { ...audio, hiddenAct: 'silu' } as const;
  const layers = Array.from({ length: numLayers }, (_, layerId) => {
    const at = tower.at('conformer').at(layerId);
    const result = at.at('attention');
    const projections = result.at('attn');
    const norm = (weights: Weights) => new BaseRMSNorm(weights, hiddenSize, CONFORMER_EPSILON);
    return new ConformerLayer(layerId, at, {
      first: normedHalfStep('first', sizes, at.at('ffw_layer_start'), product),
      beforeAttention: norm(result.at('pre_attn_norm')),
      attention: new RelativeAttention(
        { hiddenSize, numHeads, softcap, keyScale: 1 },
        { projections, result, distances: [projections.at('relative_position_embedding'), 'pos_proj'] },
        product,
      ),
      afterAttention: norm(result.at('post_norm')),
      conv: causalConv(sizes, at.at('lconv1d'), product),
      second: normedHalfStep('second', sizes, at.at('ffw_layer_end'), product),
      norm: norm(at.at('norm')),
    });
  });
  return new SoundTower(
    new HalvedFront(front, { channels, secondBins, hiddenSize }, [part(0), part(1)]),
    layers,
    new EndedEmbedder(audio, embedder, config, {
      ...{ layerId: numLayers, words: [config.vocabSize - 1, config.audioEndId], rows: ENDED_ROWS },
    }),
    [
      wholeMelPlanes({ bins: melBins, above: 0 }),
      timeGroups(melBins),
      soundContext({ span, heads: numHeads, taps, area: secondBins }),
      encoderSinusoids(span, hiddenSize),
      endedRows({ area: secondBins, every }),
    ],
    MEL_PLANES.patches,
  );
}
