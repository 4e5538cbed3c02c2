import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/base-layer.js';
import { gatherRows } from '../../layers/gather-rows.js';
import { buildLinear } from '../../layers/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseRMSNorm, UnscaledRMSNorm } from '../../layers/norms.js';
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
import { Linear } from '../../weights/linear.js';
import { rowsOf } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
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

/**
 * Some rows of a sound, the word that fills it up and that of its end, normed and brought to the size of words: [rows, hidden]
 * -> [tokens, out].
 */
class EndedEmbedder extends BaseLayer {
  readonly softNorm: BaseRMSNorm;
  readonly hardNorm: BaseRMSNorm;
  readonly proj: Linear;
  readonly norm: UnscaledRMSNorm;
  private readonly words: readonly [padding: TensorRef, end: TensorRef];

  constructor(
    audio: Gemma3nAudioConfig,
    weights: Weights,
    { hiddenSize: outFeatures, vocabSize, audioEndId }: Gemma3nWholeConfig,
  ) {
    super(audio.numLayers, weights, 'embedder');
    const { hiddenSize, rmsNormEps, firstToken } = audio;
    this.softNorm = new BaseRMSNorm(weights.at('soft_embedding_norm'), hiddenSize, rmsNormEps);
    this.hardNorm = new BaseRMSNorm(weights.at('hard_embedding_norm'), hiddenSize, rmsNormEps);
    const parts = [{ name: 'embedding_projection', outFeatures }] as const;
    this.proj = Linear.load(weights, { parts, inFeatures: hiddenSize });
    this.norm = new UnscaledRMSNorm(weights.at('embedding_post_projection_norm'), outFeatures, rmsNormEps);
    const table = weights.at('embedding').get('weight', [audio.vocabSize, hiddenSize]);
    const word = (id: number, name: string) => rowsOf(table, id - firstToken, 1, weights.path(name));
    this.words = [word(vocabSize - 1, 'padding'), word(audioEndId, 'end')];
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), ...this.words];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const [padding, end] = this.words;
    const concat = (a: string, b: string, out: string): string => {
      graph.addOperation(new BaseOperation('Concat', { concatDim: 0 }, out), [a, b], [out]);
      return out;
    };
    const words = this.hardNorm.buildGraph(graph, concat(padding.name, end.name, 'words'));
    const all = concat(this.softNorm.buildGraph(graph, hidden), words, 'rows_and_words');
    const rows = gatherRows(graph, all, ENDED_ROWS, 'sound_rows');
    return this.norm.buildGraph(graph, buildLinear(graph, this.proj, rows, 'embedder_out'));
  }
}

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
    new EndedEmbedder(audio, embedder, config),
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
