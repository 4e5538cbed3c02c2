import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import { BaseAttention } from '../../layers/attention/base-attention.js';
import { encoderAttention } from '../../layers/attention-config.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import { PreNormLayer } from '../../layers/decoder/decoder-layers.js';
import { TanhGate, TanhGatedStep } from '../../layers/decoder/tanh-gate.js';
import { gatherRows } from '../../layers/formulas/gather-rows.js';
import { addResidual } from '../../layers/formulas/residual.js';
import { buildLinear } from '../../layers/linear/linear-steps.js';
import { UngatedMLP } from '../../layers/mlp/mlp.js';
import { Module } from '../../layers/module.js';
import { BaseLayerNorm } from '../../layers/norms/norms.js';
import { PATCHES, patches, type StepInput, TILED, tiledPictures } from '../../step-inputs/index.js';
import { Linear } from '../../weights/linear.js';
import { constantWeight } from '../../weights/weight-changes.js';
import type { TensorRef, Weights } from '../../weights/weights.js';
import type { Encoder } from '../base/flash-with-encoder-atb.js';
import { patchLinear } from '../base/vision/index.js';
import { type MllamaConfig, patchesOfTile } from './config.js';
import { ShownKeys } from './cross-layer.js';

type Vision = MllamaConfig['vision'];

/** Of the norms before and behind the layers, which the class leaves to torch. */
const EPSILON = 1e-5;

const concat = (graph: AtbGraph, a: string, b: string, out: string, concatDim = 0): string => {
  graph.addOperation(new BaseOperation('Concat', { concatDim }, out), [a, b], [out]);
  return out;
};

/** Attention of a picture's rows: those that hold something see all, the others those that hold something. */
class TileAttention extends BaseAttention {
  buildGraph(graph: AtbGraph, kind: GraphKind, input: string): string {
    const { q, k, v } = this.buildQkvGraph(graph, input);
    const [keys, values] = [k, v].map((name) => gatherRows(graph, name, TILED.keys, `paired_${name}`));
    const attended = this.buildAttentionGraph(graph, kind, { q, k: keys as string, v: values as string });
    return this.buildDenseGraph(graph, kind, attended);
  }
}

/** A learned row for each tile of each canvas, behind a gate; an empty one stands behind all. */
class TileRows extends Module {
  private readonly table: TensorRef;
  private readonly gate: TanhGate;
  private readonly rows: number;

  constructor(
    { hiddenSize, maxTiles, canvases }: Vision,
    weights: Weights,
    private readonly name: string,
  ) {
    super();
    this.rows = (canvases + 1) * maxTiles;
    this.table = weights.get('embedding.weight', [canvases + 1, maxTiles * hiddenSize]);
    this.gate = new TanhGate(weights.get('gate', [1]));
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.table];
  }

  /** Rows of `index`, gated. `zeros`: the row behind all, [1, hidden]. */
  buildGraph(graph: AtbGraph, hiddenSize: number, index: string, zeros?: string): string {
    const table = `${this.name}_table`;
    graph.addReshape(this.table.name, table, [this.rows, hiddenSize]);
    const all = zeros === undefined ? table : concat(graph, table, zeros, `all_${this.name}`);
    return this.gate.buildGraph(graph, gatherRows(graph, all, index, `${this.name}_embedding`));
  }
}

/** Patches of tiles, before those of each a learned row, with what is learned of places; normed, filled up. */
class TileFront extends BaseLayer {
  readonly proj: Linear;
  readonly norm: BaseLayerNorm;
  readonly tileRows: TileRows;
  readonly gate: TanhGate;
  private readonly classRow: TensorRef;
  private readonly positions: TensorRef;
  private readonly tilePositions: TensorRef;
  private readonly zeros: TensorRef;

  constructor(
    private readonly vision: Vision,
    weights: Weights,
  ) {
    super(-1, weights, 'front');
    const { hiddenSize, patchSize, maxTiles, canvases } = vision;
    const each = patchesOfTile(vision) + 1;
    const positional = weights.at('gated_positional_embedding');
    this.proj = patchLinear(weights, 'patch_embedding', hiddenSize, patchSize);
    this.norm = new BaseLayerNorm(weights.at('layernorm_pre'), hiddenSize, EPSILON);
    this.tileRows = new TileRows(vision, weights.at('pre_tile_positional_embedding'), 'tile');
    this.gate = new TanhGate(positional.get('gate', [1]));
    this.classRow = weights.get('class_embedding', [hiddenSize]);
    this.positions = positional.get('embedding', [each, hiddenSize]);
    const tilePositions = positional.at('tile_embedding');
    this.tilePositions = tilePositions.get('weight', [canvases + 1, maxTiles * each * hiddenSize]);
    this.zeros = constantWeight(weights.path('zero_row'), [1, hiddenSize], 0);
  }

  override getWeights(): TensorRef[] {
    return [...super.getWeights(), this.classRow, this.positions, this.tilePositions, this.zeros];
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, input: string): string {
    const { hiddenSize, maxTiles, canvases } = this.vision;
    const zeros = this.zeros.name;
    const each = patchesOfTile(this.vision) + 1;
    const embedded = buildLinear(graph, this.proj, input, 'patch_embedding_out');
    graph.addReshape(this.classRow.name, 'class_row', [1, dim(0)]);
    const all = concat(graph, concat(graph, embedded, 'class_row', 'patches_and_class'), zeros, 'all_rows');
    const ordered = gatherRows(graph, all, TILED.rows, 'ordered_rows');
    const inTiles = addResidual(
      graph,
      ordered,
      this.tileRows.buildGraph(graph, hiddenSize, TILED.tiles, zeros),
      'rows_of_tiles',
    );
    // What is learned of a place counts for the rest of what counts of the same place in a tile of a canvas.
    const places = gatherRows(graph, this.positions.name, TILED.places, 'position_rows');
    const gated = this.gate.buildGraph(graph, places);
    const subtract = new BaseOperation('Elewise', { elewiseType: 'ELEWISE_SUB' }, 'rest_of_positions');
    graph.addOperation(subtract, [places, gated], ['rest_of_positions']);
    graph.addReshape(this.tilePositions.name, 'tile_position_table', [
      (canvases + 1) * maxTiles * each,
      hiddenSize,
    ]);
    const inCanvas = gatherRows(graph, 'tile_position_table', TILED.placesOfTiles, 'tile_positions');
    const placed = addResidual(graph, inTiles, 'rest_of_positions', 'placed_rows');
    const canvasPlaced = addResidual(graph, placed, this.gate.buildGraph(graph, inCanvas), 'positioned_rows');
    const normed = concat(graph, this.norm.buildGraph(graph, canvasPlaced), zeros, 'normed_and_zeros');
    return gatherRows(graph, normed, TILED.padded, 'padded_hidden');
  }
}

/** What stands between the layers of tiles and those of whole pictures: a norm, and rows of tiles once more. */
class BetweenLayers extends BaseLayer {
  readonly norm: BaseLayerNorm;
  readonly tileRows: TileRows;

  constructor(
    private readonly vision: Vision,
    weights: Weights,
  ) {
    super(vision.numLayers, weights, 'between');
    this.norm = new BaseLayerNorm(weights.at('layernorm_post'), vision.hiddenSize, EPSILON);
    this.tileRows = new TileRows(vision, weights.at('post_tile_positional_embedding'), 'post_tile');
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const rows = this.tileRows.buildGraph(graph, this.vision.hiddenSize, TILED.paddedTiles);
    return addResidual(graph, this.norm.buildGraph(graph, hidden), rows, 'between_out');
  }
}

/** The last layer's rows, beside them numbers of layers that are taken, one of each in turn, as text reads them. */
class TakenProjector extends BaseLayer {
  readonly proj: Linear;

  constructor(
    private readonly config: MllamaConfig,
    weights: Weights,
    private readonly takenNames: readonly [string, ...string[]],
  ) {
    const { numLayers, numGlobalLayers, outSize } = config.vision;
    super(numLayers + 1 + numGlobalLayers, weights, 'projector');
    this.proj = Linear.load(weights, {
      parts: [{ name: 'multi_modal_projector', outFeatures: config.hiddenSize }],
      inFeatures: outSize,
      hasBias: true,
    });
  }

  protected buildLayerGraph(graph: AtbGraph, _kind: GraphKind, hidden: string): string {
    const { hiddenSize } = this.config.vision;
    const last = gatherRows(graph, hidden, TILED.real, 'last_rows');
    const [first, ...others] = this.takenNames;
    const beside = others.reduce((all, name, at) => concat(graph, all, name, `taken_${at}`, 1), first);
    const rows = gatherRows(graph, beside, TILED.real, 'taken_rows');
    graph.addReshape(rows, 'taken_layers', [dim(0), this.takenNames.length, hiddenSize]);
    graph.addOperation(
      new BaseOperation('Transpose', { perm: [0, 2, 1] }, 'taken_in_turn'),
      ['taken_layers'],
      ['taken_in_turn'],
    );
    graph.addReshape('taken_in_turn', 'taken_beside', [dim(0), dim(1, 2)]);
    return buildLinear(
      graph,
      this.proj,
      concat(graph, last, 'taken_beside', 'all_beside', 1),
      'projector_out',
    );
  }
}

/**
 * A vision transformer over tiles of a canvas, which all see each other, empty ones and filling among them as in the
 * class of transformers. What it gives becomes keys and values of layers of text, whose caches its graph writes.
 */
export class MllamaTower extends Module implements Encoder {
  readonly stepInputs: readonly StepInput[];
  readonly front: TileFront;
  readonly layers: readonly PreNormLayer[];
  readonly between: BetweenLayers;
  readonly globalLayers: readonly PreNormLayer[];
  readonly projector: TakenProjector;
  readonly shownKeys: readonly ShownKeys[];

  /** `text`: where the layers of text are. Throws WEIGHT_NOT_FOUND, WEIGHT_SHAPE_MISMATCH, WEIGHT_DTYPE_UNSUPPORTED. */
  constructor(config: MllamaConfig, weights: Weights, text: Weights) {
    super();
    const { vision } = config;
    const { numLayers, numGlobalLayers, patchSize, maxTiles, taken } = vision;
    this.stepInputs = [
      patches(3 * patchSize * patchSize),
      tiledPictures({ count: patchesOfTile(vision), maxTiles }),
    ];
    const tower = weights.at('vision_model');
    const layers = (name: string, count: number, first: number, isGated: boolean) =>
      Array.from({ length: count }, (_, at) =>
        towerLayer(first + at, vision, tower.at(name).at('layers').at(at), isGated),
      );
    this.front = new TileFront(vision, tower);
    this.layers = layers('transformer', numLayers, 0, false);
    this.between = new BetweenLayers(vision, tower);
    this.globalLayers = layers('global_transformer', numGlobalLayers, numLayers + 1, true);
    const [first = 0, ...others] = taken;
    const nameOf = (layer: number) => `hidden_states_${layer + 1}`;
    this.projector = new TakenProjector(config, weights, [nameOf(first), ...others.map(nameOf)]);
    this.shownKeys = config.crossLayers.map(
      (layerId, at) =>
        new ShownKeys(
          numLayers + numGlobalLayers + 2 + at,
          layerId,
          config,
          text.at(layerId).at('cross_attn'),
        ),
    );
  }

  buildGraph(graph: AtbGraph, kind: GraphKind): string {
    let hidden = this.front.buildGraph(graph, kind, PATCHES);
    for (const layer of [...this.layers, this.between, ...this.globalLayers])
      hidden = layer.buildGraph(graph, kind, hidden);
    const rows = this.projector.buildGraph(graph, kind, hidden);
    for (const keys of this.shownKeys) keys.buildGraph(graph, kind, rows);
    return rows;
  }
}

function towerLayer(
  layerId: number,
  { hiddenSize, intermediateSize, numHeads, hiddenAct, epsilon }: Vision,
  weights: Weights,
  isGated: boolean,
): PreNormLayer {
  const norm = (name: string) => new BaseLayerNorm(weights.at(name), hiddenSize, epsilon);
  const attention = encoderAttention({ hiddenSize, numHeads, qkvBias: false, denseBias: false });
  const selfAttn = new TileAttention(layerId, attention, weights.at('self_attn'), { seqLen: TILED.lengths });
  const mlp = new UngatedMLP({ hiddenSize, intermediateSize, hiddenAct, mlpBias: true }, weights.at('mlp'), {
    names: { up: 'fc1', down: 'fc2' },
  });
  return new PreNormLayer(
    layerId,
    weights,
    {
      inputLayernorm: norm('input_layernorm'),
      selfAttn: isGated ? new TanhGatedStep(selfAttn, weights.get('gate_attn', [1])) : selfAttn,
      postAttentionLayernorm: norm('post_attention_layernorm'),
      mlp: isGated ? new TanhGatedStep(mlp, weights.get('gate_ffn', [1])) : mlp,
    },
    isGated ? 'global' : '',
  );
}
