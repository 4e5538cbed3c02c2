import type { FloatDType } from '../../dtype.js';
import { type AtbGraph, BaseOperation } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { addNarrowed, addWidened } from '../../layers/formulas/casts.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm, NoNorm } from '../../layers/norms/norms.js';
import {
  patches,
  queriedWindows,
  SOUND_FRAMES,
  type StepInput,
  soundBlocks,
  soundTaps,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import { ConformerLayer, HalfStep, LightConv, NormedTaps, PlainProduct } from '../base/audio/index.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { takenOf } from '../base/vision/index.js';
import { BlockAttention } from './block-attention.js';
import type { GraniteSpeechConfig, SpeechConfig } from './config.js';
import { WindowProjector } from './window-projector.js';

/** Of all norms of the encoder: the class leaves it to torch. */
const EPSILON = 1e-5;

function conformerLayer(layerId: number, weights: Weights, audio: SpeechConfig): ConformerLayer {
  const { hiddenSize, numHeads, headDim, innerFactor, convFactor, taps, positions } = audio;
  const norm = (at: string, name: string) =>
    new BaseLayerNorm(weights.at(at), hiddenSize, EPSILON, { hasBias: true, name });
  const half = (name: string, key: string) => {
    const at = weights.at(key);
    const inner = innerFactor * hiddenSize;
    const product = (of: string, inFeatures: number, outFeatures: number) =>
      new PlainProduct(`${name}_${of}`, at, `${of}_proj`, { inFeatures, outFeatures }, { hasBias: true });
    return new HalfStep(
      name,
      { hiddenAct: 'silu', share: 0.5 },
      {
        before: norm(`${key}.pre_norm`, `${name}_norm`),
        up: product('up', hiddenSize, inner),
        down: product('down', inner, hiddenSize),
        after: new NoNorm(),
      },
    );
  };
  const conv = weights.at('conv');
  const channels = convFactor * hiddenSize;
  const over = (name: string, key: string, inFeatures: number, outFeatures: number) =>
    new PlainProduct(name, conv, key, { inFeatures, outFeatures }, { hasBias: true, isConv: true });
  const distances = 2 * positions + 1;
  return new ConformerLayer(layerId, weights, {
    first: half('first', 'ff1'),
    beforeAttention: norm('attn.pre_norm', 'attn_norm'),
    attention: new BlockAttention({ hiddenSize, numHeads, headDim, distances }, weights.at('attn')),
    afterAttention: new NoNorm(),
    conv: new LightConv('silu', {
      before: norm('conv.norm', 'conv_norm'),
      start: over('conv_start', 'up_conv', hiddenSize, 2 * channels),
      after: new NoNorm(),
      end: over('conv_end', 'down_conv', channels, hiddenSize),
      conv: new NormedTaps(conv.at('depth_conv.conv'), conv.at('batch_norm'), { channels, taps }),
    }),
    second: half('second', 'ff2'),
    norm: norm('post_norm', 'post_norm'),
  });
}

/** x + back(softmax(out(x))): what has been heard so far, as letters, is added to rows (arXiv:2104.02724). */
class HeardLetters extends BaseLayer {
  readonly out: Linear;
  readonly back: Linear;
  private readonly dtype: FloatDType;

  /** `layerId`: behind the last layer of the encoder, though it stands in the middle. */
  constructor(layerId: number, weights: Weights, { hiddenSize, letters }: SpeechConfig) {
    super(layerId, weights, 'letters');
    this.dtype = weights.dtype ?? 'bf16';
    const linear = (name: string, inFeatures: number, outFeatures: number): Linear =>
      Linear.load(weights, { parts: [{ name, outFeatures }], inFeatures, hasBias: true });
    this.out = linear('out', hiddenSize, letters);
    this.back = linear('out_mid', letters, hiddenSize);
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const { dtype } = this;
    const scores = addWidened(
      graph,
      buildLinear(graph, this.out, hidden, 'letters_out'),
      dtype,
      'letters_wide',
    );
    const shares = dtype === 'f32' ? 'letter_shares' : 'letter_shares_wide';
    graph.addOperation(new BaseOperation('Softmax', { axes: [-1] }, 'letters_softmax'), [scores], [shares]);
    const narrow = addNarrowed(graph, shares, dtype, 'letter_shares');
    return addResidual(graph, hidden, buildLinear(graph, this.back, narrow, 'back_out'), 'layer_out');
  }
}

/** Conformers over pairs of frames, and queries that make tokens of windows of their rows. */
export class GraniteSpeechTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: Linear;
  readonly steps: readonly BaseLayer[];
  readonly projector: WindowProjector;
  /** Those of each layer. */
  private readonly layers: readonly (readonly BaseLayer[])[];
  private readonly takenLayers: readonly number[];

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: GraniteSpeechConfig, tower: Weights, projector: Weights) {
    super();
    const { audio, windowSize, queries, hiddenSize: outSize } = config;
    const { inSize, hiddenSize, numLayers, numHeads, span, taps, positions } = audio;
    const parts = [{ name: 'input_linear', outFeatures: hiddenSize }] as const;
    this.front = Linear.load(tower, { parts, inFeatures: inSize, hasBias: true });
    const middle = Math.floor(numLayers / 2);
    this.layers = Array.from({ length: numLayers }, (_, layerId) => {
      const layer = conformerLayer(layerId, tower.at('layers').at(layerId), audio);
      return layerId + 1 === middle ? [layer, new HeardLetters(numLayers, tower, audio)] : [layer];
    });
    this.steps = this.layers.flat();
    this.takenLayers = audio.takenLayers;
    this.projector = new WindowProjector(numLayers + 1, config.projector, projector, { queries, outSize });
    this.stepInputs = [
      patches(inSize, undefined, SOUND_FRAMES),
      soundBlocks({ span, heads: numHeads, middle: positions }),
      soundTaps(taps, Math.floor(taps / 2)),
      queriedWindows(windowSize, queries),
    ];
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = buildLinear(graph, this.front, SOUND_FRAMES, 'front_out');
    const results = [hidden];
    for (const steps of this.layers) {
      for (const step of steps) hidden = step.buildGraph(graph, kind, hidden);
      results.push(hidden);
    }
    const seen = takenOf(graph, results, [...this.takenLayers, this.layers.length]);
    return this.projector.buildGraph(graph, kind, seen);
  }
}
