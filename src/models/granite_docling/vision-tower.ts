import { CommonOpBuilderManager } from '../../common-op-builders/index.js';
import { type AtbGraph, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import {
  gridPositions,
  MERGED_PATCHES,
  mergedSquares,
  type StepInput,
  TILE_PLACES,
  tilePlaces,
} from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import type { Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { besideRows, PatchMerger, SiglipEncoder } from '../base/vision/index.js';
import type { GraniteDoclingConfig } from './config.js';

/** Of the connector's norms: the class leaves it to torch. */
const EPSILON = 1e-5;

/** Blocks of patches as tokens that know where they are: [patches, hidden] -> [tokens, out]. */
class DoclingConnector extends BaseLayer {
  readonly normIn: BaseLayerNorm;
  readonly proj: Linear;
  readonly normMid: BaseLayerNorm;
  readonly down: Linear;
  readonly normOut: BaseLayerNorm;

  constructor({ vision, mergeSize }: GraniteDoclingConfig, weights: Weights) {
    super(vision.numLayers, weights, 'connector');
    const { hiddenSize, outSize: outFeatures } = vision;
    const norm = (name: string, size: number) => new BaseLayerNorm(weights.at(name), size, EPSILON);
    this.normIn = norm('ln_in', hiddenSize);
    this.proj = Linear.load(weights.at('coarse'), {
      parts: [{ name: 'projection', outFeatures }],
      inFeatures: mergeSize ** 2 * hiddenSize,
    });
    this.normMid = norm('ln_mid', outFeatures);
    this.down = Linear.load(weights, { parts: [{ name: 'mlp_fc2', outFeatures }], inFeatures: outFeatures });
    this.normOut = norm('ln_out', outFeatures);
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    gatherRows(graph, this.normIn.buildGraph(graph, hidden), MERGED_PATCHES, 'merged_hidden');
    graph.addReshape('merged_hidden', 'merged_rows', [dim(0), dim(1, 2)]);
    const tokens = buildLinear(graph, this.proj, 'merged_rows', 'connector_tokens');
    const placed = addResidual(graph, tokens, TILE_PLACES, 'placed_tokens');
    CommonOpBuilderManager.getBuilder({
      category: 'ACTIVATION',
      opName: 'connector_activation',
      ...{ kind: 'gelu', isGated: false, isPack: false },
    }).build(graph, { input: this.normMid.buildGraph(graph, placed), actOut: 'connector_act_out' });
    const down = buildLinear(graph, this.down, 'connector_act_out', 'connector_down_out');
    return this.normOut.buildGraph(graph, down);
  }
}

/**
 * SigLIP over squares, blocks of whose patches become tokens; blocks of what some layers give become further vectors of
 * them, for layers of text. What embeddings are multiplied by, tokens are, too.
 */
export class GraniteDoclingTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly encoder: SiglipEncoder;
  readonly connector: DoclingConnector;
  readonly mergers: readonly PatchMerger[];

  /** Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(
    private readonly config: GraniteDoclingConfig,
    tower: Weights,
  ) {
    super();
    const { vision, mergeSize } = config;
    const { hiddenSize, outSize, numLayers, deepLayers } = vision;
    const [side, area] = [Math.floor(vision.imageSize / vision.patchSize), mergeSize ** 2];
    this.encoder = new SiglipEncoder(vision, tower, { positions: gridPositions });
    this.stepInputs = [
      ...this.encoder.stepInputs,
      mergedSquares(side, mergeSize, 0),
      tilePlaces(Math.floor(side / mergeSize), outSize, area),
    ];
    const connector = tower.at('connector');
    this.connector = new DoclingConnector(config, connector);
    const mergers = connector.at('coarse.deepstack_mergers');
    this.mergers = deepLayers.map(
      (_, level) =>
        new PatchMerger(numLayers + 1 + level, mergers.at(level), {
          ...{ hiddenSize, outSize, innerSize: outSize, area, normsBlocks: true },
          names: { norm: 'layer_norm', up: 'linear_1', down: 'linear_2' },
          norm: (at, size) => new BaseLayerNorm(at, size, EPSILON),
        }),
    );
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    const { deepLayers } = this.config.vision;
    const { rows, ofLayers } = this.encoder.buildRowsGraphs(graph, kind);
    const deep = this.mergers.map((merger, level) => {
      const seen = ofLayers[deepLayers[level] ?? 0] ?? rows;
      return merger.buildGraph(graph, kind, seen);
    });
    const tokens = this.connector.buildGraph(graph, kind, rows);
    return besideRows(graph, tokens, deep);
  }
}
