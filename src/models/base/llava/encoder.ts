import type { ActivationKind } from '../../../common-op-builders/index.js';
import { gridPositions, packedRows } from '../../../step-inputs/index.js';
import type { Weights } from '../../../weights/weights.js';
import type { Encoder } from '../flash-with-encoder-atb.js';
import type { TextWithin } from '../text-within.js';
import {
  ClipEncoder,
  layersBehind,
  ProjectedTower,
  RowProjector,
  SiglipEncoder,
  type SiglipSizes,
  visionTower,
} from '../vision/index.js';
import { PackedProjector } from './packed-projector.js';

/** What an encoder of a family of LLaVA is told by the configuration. */
export interface LlavaVision extends TextWithin {
  /** How many layers of the encoder are computed, and which of their results are taken. */
  readonly computedLayers: number;
  readonly takenLayers: readonly number[];
  readonly projectorAct: ActivationKind;
  readonly projectorBias: boolean;
  readonly select: 'default' | 'full';
  readonly vision: { readonly kind: string; readonly numLayers: number; readonly hiddenSize: number };
}

/** The same of one that sees squares. */
export interface SquareLlava extends LlavaVision {
  readonly vision: SiglipSizes & { readonly kind: 'clip_vision_model' | 'siglip_vision_model' };
}

/**
 * CLIP or SigLIP up to the layer that is taken, without the norm behind the last: [tokens, hidden]. `select` absent: see
 * `ClipEncoder`; `tower`: where the checkpoint has it.
 */
export function squareEncoder(
  { vision, computedLayers, takenLayers: taken, select }: Omit<SquareLlava, 'select'> & Partial<SquareLlava>,
  weights: Weights,
  tower = visionTower(weights),
): Encoder {
  const sizes = { ...vision, numLayers: computedLayers };
  if (vision.kind === 'siglip_vision_model')
    return new SiglipEncoder(sizes, tower, { positions: gridPositions, hasNorm: false, taken });
  const count = Math.floor(vision.imageSize / vision.patchSize) ** 2;
  return new ClipEncoder({ ...sizes, count, taken }, tower, select && select === 'full');
}

/** The two linears behind an encoder. */
export const llavaProjector = (config: LlavaVision, weights: Weights): RowProjector =>
  new RowProjector(weights.at('multi_modal_projector'), {
    inSize: config.vision.hiddenSize * config.takenLayers.length,
    outSize: config.hiddenSize,
    hasBias: config.projectorBias,
    act: config.projectorAct,
  });

/** Of checkpoints: layers behind the one whose result is taken, and what only whole encoders need. */
export const unusedOfLlava = ({
  computedLayers,
  vision,
}: {
  readonly computedLayers: number;
  readonly vision: { readonly numLayers: number };
}): RegExp[] => [
  /^(vision|image|video)_tower\.(.*\.)?(post_layernorm\.|head\.|embeddings\.position_ids$)/,
  ...layersBehind(
    '(vision|image|video)_tower\\.(.*\\.)?(encoder|transformer)\\.layers',
    computedLayers,
    vision.numLayers,
  ),
];

/** An encoder of squares whose rows become tokens as processors say it; `isMixed`: as sums of rows. */
export function anyresTower(config: SquareLlava, weights: Weights, isMixed: boolean): ProjectedTower {
  const { vision, hiddenSize } = config;
  const packed = { layerId: vision.numLayers, hiddenSize, isMixed };
  const projector = new PackedProjector(llavaProjector(config, weights), weights, packed);
  return new ProjectedTower(squareEncoder(config, weights), projector, [packedRows(isMixed)]);
}
