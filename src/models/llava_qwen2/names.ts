import { renamed, type Weights } from '../../weights/weights.js';

/** What published files call what transformers' files have at these places. */
const PLACES: readonly (readonly [RegExp, string])[] = [
  [/^model\.language_model\./, 'model.'],
  [/^model\.multi_modal_projector\.linear_1\./, 'model.mm_projector.0.'],
  [/^model\.multi_modal_projector\.linear_2\./, 'model.mm_projector.2.'],
  [/^model\.vision_tower\.timm_model\./, 'model.vision_tower.vision_tower.model.'],
];

/** Where the one list of published files has what stands before the blocks of each stage, their positions, and them. */
const DOWN = [0, 1, 3, 5, 8];
const POSITIONS = [0, 0, 0, 6, 9];
const BLOCKS = [0, 2, 4, 7, 10];

/** Names within the encoder. */
const PARTS: readonly (readonly [RegExp, string])[] = [
  [/\.stem\./, '.patch_embed.'],
  [/\.final_conv\.se\.fc1\./, '.conv_exp.se.reduce.'],
  [/\.final_conv\.se\.fc2\./, '.conv_exp.se.expand.'],
  [/\.final_conv\./, '.conv_exp.'],
  [/\.downsample\.proj\.0\.reparam_conv\./, '.proj.0.lkb_reparam.'],
  [/\.downsample\.proj\./, '.proj.'],
  [/\.mlp\./, '.convffn.'],
  [/\.(layer_scale(?:_[12])?)\.gamma$/, '.$1'],
];

const changed = (name: string, changes: readonly (readonly [RegExp, string])[]): string =>
  changes.reduce((found, [from, to]) => found.replace(from, to), name);

/** The name in published files of a tensor of transformers' files. */
export function publishedName(name: string): string {
  const found = changed(name, PLACES);
  if (!found.startsWith('model.vision_tower.')) return found;
  const placed = found.replace(
    /\.stages\.([0-4])\.(blocks\.|pos_emb\.|(?=downsample\.))/,
    (_, stage: string, part: string) => {
      const places = part === 'blocks.' ? BLOCKS : part === '' ? DOWN : POSITIONS;
      return `.network.${places[Number(stage)]}.`;
    },
  );
  return changed(placed, PARTS);
}

/** Weights of a published checkpoint by the names of one that transformers writes. */
export const asTransformersNames = (weights: Weights): Weights =>
  weights.mapped((source) => renamed(source, publishedName));
