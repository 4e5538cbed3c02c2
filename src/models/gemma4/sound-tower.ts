import type { AtbGraph } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { ClippedLinear } from '../../layers/linear/clipped-linear.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { BaseLayerNorm, BaseRMSNorm, UnscaledRMSNorm } from '../../layers/norms/norms.js';
import { encoderSinusoids, MEL_PLANES, soundContext, wholeMelPlanes } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import {
  CONFORMER_EPSILON,
  ConformerLayer,
  causalConv,
  HalvedFront,
  type MakesProduct,
  normedHalfStep,
  RelativeAttention,
  SoundTower,
} from '../base/audio/index.js';
import type { AudioConfig } from './config.js';

/** What keys are multiplied by: log2(1 + e). */
const KEY_SCALE = Math.log2(1 + Math.E);

/** Rows in the encoder's own size, normed and brought to the size of words. */
class SoundEmbedder extends BaseLayer {
  readonly out: Linear;
  readonly norm: UnscaledRMSNorm;
  readonly proj: Linear;

  constructor(audio: AudioConfig, tower: Weights, weights: Weights, outFeatures: number) {
    super(audio.numLayers, weights, 'embedder');
    const { hiddenSize, outSize, rmsNormEps } = audio;
    const out = [{ name: 'output_proj', outFeatures: outSize }] as const;
    this.out = Linear.load(tower, { parts: out, inFeatures: hiddenSize, hasBias: true });
    this.norm = new UnscaledRMSNorm(weights.at('embedding_pre_projection_norm'), outSize, rmsNormEps);
    const parts = [{ name: 'embedding_projection', outFeatures }] as const;
    this.proj = Linear.load(weights, { parts, inFeatures: outSize });
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const rows = buildLinear(graph, this.out, hidden, 'output_proj_out');
    return buildLinear(graph, this.proj, this.norm.buildGraph(graph, rows), 'embedder_out');
  }
}

/**
 * The Universal Speech Model's encoder (arXiv:2303.01037), whose rows see themselves and those before them alone. `outSize`: of
 * words.
 */
export function gemma4SoundTower(
  audio: AudioConfig,
  tower: Weights,
  embedder: Weights,
  outSize: number,
): SoundTower {
  const { hiddenSize, numLayers, numHeads, channels, span, taps, softcap, clips, rmsNormEps } = audio;
  const product: MakesProduct = (name, weights, key, sizes) =>
    new ClippedLinear(name, weights.at(key), { ...sizes, clips });
  const front = tower.at('subsample_conv_projection');
  const part = (index: 0 | 1) => {
    const weights = front.at(`layer${index}`);
    const options = { hasBias: false, name: `norm_${index}` };
    return { weights, norm: new BaseLayerNorm(weights.at('norm'), channels[index], rmsNormEps, options) };
  };
  const [melBins, secondBins] = [channels[0], channels[0] / 4];
  const layers = Array.from({ length: numLayers }, (_, layerId) => {
    const at = tower.at('layers').at(layerId);
    const attention = at.at('self_attn');
    const norm = (name: string) => new BaseRMSNorm(at.at(name), hiddenSize, CONFORMER_EPSILON);
    return new ConformerLayer(layerId, at, {
      first: normedHalfStep('first', audio, at.at('feed_forward1'), product),
      beforeAttention: norm('norm_pre_attn'),
      attention: new RelativeAttention(
        { hiddenSize, numHeads, softcap, keyScale: KEY_SCALE },
        { projections: attention, result: attention, distances: [attention, 'relative_k_proj'] },
        product,
      ),
      afterAttention: norm('norm_post_attn'),
      conv: causalConv(audio, at.at('lconv1d'), product),
      second: normedHalfStep('second', audio, at.at('feed_forward2'), product),
      norm: norm('norm_out'),
    });
  });
  return new SoundTower(
    new HalvedFront(front, { channels, secondBins, hiddenSize }, [part(0), part(1)]),
    layers,
    new SoundEmbedder(audio, tower, embedder, outSize),
    [
      wholeMelPlanes({ bins: melBins, above: 1 }),
      soundContext({ span, heads: numHeads, taps, area: secondBins }),
      encoderSinusoids(span, hiddenSize),
    ],
    MEL_PLANES.patches,
  );
}
