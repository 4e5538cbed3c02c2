import { type AtbGraph, BaseOperation, dim } from '../../graph/atb-graph.js';
import type { GraphKind } from '../../graph/graph-kind.js';
import {
  defineConfig,
  type Field,
  keysBecause,
  only,
  positive,
  tokenField,
} from '../../layers/config/index.js';
import { BaseLayer } from '../../layers/decoder/base-layer.js';
import type { LayerStep } from '../../layers/decoder/decoder-layers.js';
import { addPair, addResidual } from '../../layers/formulas/residual.js';
import { addColumns } from '../../layers/linear/gate.js';
import { registerModel, routerOf } from '../../router/index.js';
import { TIMED_TURNS, type TimedTurns, timedTurns } from '../../step-inputs/index.js';
import type { Weights } from '../../weights/weights.js';
import { FLAMINGO_FIELDS, FLAMINGO_TEXT, flamingoProcessor, flamingoTower } from '../audioflamingo3/index.js';
import { type SoundTower, SurroundedSound } from '../base/audio/index.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { aroundText, headNamesWithin } from '../base/text-within.js';

/** Frames of a spectrogram of which a row comes that becomes a token. */
const FRAMES_OF_ROW = 4;

/** How rows of the encoder turn, which files say beside how heads of the text do. */
const turns: Field<
  TimedTurns,
  { readonly audio: { readonly hiddenSize: number; readonly maxPositions: number } }
> = {
  read(json, { audio: { hiddenSize, maxPositions } }) {
    const section = json.section('rope_parameters');
    section?.value('rope_type', only('default'));
    const theta = section?.value('rope_theta', positive(1e12)) ?? 1200;
    const share = section?.value('partial_rotary_factor', positive(1)) ?? 0.2;
    const frequencies = Math.ceil(Math.trunc(hiddenSize * share) / 2);
    if (frequencies < 1 || 4 * frequencies > hiddenSize)
      json.fail(
        `rope_parameters.partial_rotary_factor must turn at most half of ${hiddenSize}, found ${share}`,
      );
    const rows = Math.floor(maxPositions / 2);
    const frame = json.value('audio_frame_step', positive(1e3)) ?? 0.01;
    return { theta, frequencies, rows, seconds: FRAMES_OF_ROW * frame };
  },
};

/** Defaults of transformers 5.24, MusicFlamingoConfig. */
export const MUSIC_FLAMINGO_CONFIG = aroundText(
  defineConfig({
    fields: {
      ...FLAMINGO_FIELDS,
      turns,
      beginId: tokenField('audio_bos_token_id', 151_670),
      endId: tokenField('audio_eos_token_id', 151_671),
    },
    irrelevant: keysBecause(
      'follows from rope_parameters and audio_config',
      'head_dim',
      'max_position_embeddings',
    ),
  }),
);
type MusicFlamingoConfig = ReturnType<(typeof MUSIC_FLAMINGO_CONFIG)['read']>;

/** Pairs of a row's first numbers turn by the second at which it is, then it comes to the size of words. */
class TimedProjector extends BaseLayer implements LayerStep {
  constructor(
    layerId: number,
    weights: Weights,
    readonly projector: LayerStep,
    private readonly sizes: { readonly pairs: number; readonly hiddenSize: number },
  ) {
    super(layerId, weights, 'projector');
  }

  protected buildLayerGraph(graph: AtbGraph, kind: GraphKind, rows: string): string {
    const { pairs, hiddenSize } = this.sizes;
    const turning = addColumns(graph, rows, 0, 2 * pairs, 'turning');
    graph.addReshape(turning, 'turning_pairs', [dim(0), pairs, 2]);
    const split = new BaseOperation('Split', { splitDim: 2, splitNum: 2 }, 'pair_split');
    graph.addOperation(split, ['turning_pairs'], ['pair_first', 'pair_second']);
    const product = (of: string, turn: keyof typeof TIMED_TURNS): string =>
      addPair(graph, 'ELEWISE_MUL', `pair_${of}`, TIMED_TURNS[turn], `${of}_${turn}`);
    const first = addPair(
      graph,
      'ELEWISE_SUB',
      product('first', 'cos'),
      product('second', 'sin'),
      'turned_first',
    );
    const second = addResidual(graph, product('second', 'cos'), product('first', 'sin'), 'turned_second');
    const concat = (name: string, axis: number) => new BaseOperation('Concat', { concatDim: axis }, name);
    graph.addOperation(concat('turned_pairs', 2), [first, second], ['turned_pairs']);
    graph.addReshape('turned_pairs', 'turned', [dim(0), dim(1, 2)]);
    let all = 'turned';
    if (2 * pairs < hiddenSize) {
      all = 'turned_rows';
      graph.addOperation(concat(all, 1), ['turned', addColumns(graph, rows, 2 * pairs, -1, 'still')], [all]);
    }
    return this.projector.buildGraph(graph, kind, all);
  }
}

/** Audio Flamingo 3 for music, whose rows know at which second they are (arXiv:2511.10289). */
export class FlashMusicflamingoForCausalLMATB extends FlashInsertingATB<MusicFlamingoConfig> {
  readonly name = 'musicflamingo';
  protected readonly encoderModule: SoundTower;

  constructor(config: MusicFlamingoConfig, weights: Weights) {
    super(config, weights, FLAMINGO_TEXT);
    const { turns: timed, audio } = config;
    const sizes = { pairs: 2 * timed.frequencies, hiddenSize: audio.hiddenSize };
    const at = weights.at('multi_modal_projector');
    this.encoderModule = flamingoTower(config, weights, {
      step: (projector) => new TimedProjector(audio.numLayers, at, projector, sizes),
      inputs: [timedTurns(timed)],
    });
  }
}

export const MusicflamingoRouter = routerOf(MUSIC_FLAMINGO_CONFIG, FlashMusicflamingoForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, FLAMINGO_TEXT),
  async mediaProcessor(folder, config) {
    // As `MusicFlamingoProcessor` of transformers 5.24 cuts it.
    const heard = await flamingoProcessor(folder, config, 1200);
    const { beginId, endId } = config;
    return new SurroundedSound(
      heard,
      beginId === undefined ? [] : [beginId],
      endId === undefined ? [] : [endId],
    );
  },
  about: {
    kind: 'media',
    features: ['as audioflamingo3', 'sound of up to 20 minutes', 'rows that turn by seconds'],
    reference: 'transformers',
  },
});
registerModel('musicflamingo', MusicflamingoRouter);
