import { registerModel, routerOf } from '../../router/index.js';
import { renamed, type Weights } from '../../weights/weights.js';
import { FlashInsertingATB } from '../base/inserting-text-atb.js';
import { headNamesWithin } from '../base/text-within.js';
import { MINIMAX_M3_VL_CONFIG, type MiniMaxM3VlConfig } from './config.js';
import { MiniMaxM3Processor } from './processor.js';
import { MiniMaxM3Tower } from './vision-tower.js';

const TEXT = 'language_model';

/** Weights by the names of a model of text alone, some of which published files call otherwise. */
const asText = (weights: Weights): Weights =>
  weights.mapped((source) =>
    renamed(source, (name) =>
      name
        .replace(/\.mlp\.gate\.e_score/, '.block_sparse_moe.e_score')
        .replace(/\.mlp\.(experts|gate|shared_experts)\./, '.block_sparse_moe.$1.')
        .replace(/\.self_attn\.indexer\.([qk]_(?:proj|norm))\./, '.self_attn.index_$1.'),
    ),
  );

/** MiniMax-M3, which sees pictures and frames. */
export class FlashMiniMaxM3VlForCausalLMATB extends FlashInsertingATB<MiniMaxM3VlConfig> {
  readonly name = 'minimax_m3_vl';
  protected readonly encoderModule: MiniMaxM3Tower;

  constructor(config: MiniMaxM3VlConfig, weights: Weights) {
    super(config, asText(weights), TEXT);
    this.encoderModule = new MiniMaxM3Tower(config, weights, this.model.text);
  }
}

export const MiniMaxM3VlRouter = routerOf(MINIMAX_M3_VL_CONFIG, FlashMiniMaxM3VlForCausalLMATB, {
  headNames: ({ textKind }) => headNamesWithin(textKind, TEXT),
  mediaProcessor: (folder, config, encode) => MiniMaxM3Processor.read(folder, config, encode),
  // Layers that guess further tokens.
  harmlessTensors: [/(^|\.)mtp\./],
  about: {
    kind: 'media',
    features: [
      'pictures of any size',
      'frames in stretches that see each other',
      'CLIP with rotary positions of three axes',
      'text of minimax_m3_vl_text',
    ],
    reference: 'transformers',
  },
});
registerModel('minimax_m3_vl', MiniMaxM3VlRouter);
