import { renamed, type Weights } from '../../../../weights/weights.js';

/** Ends of names of SAM's tensors as transformers has them, and as its authors do. */
const PUBLISHED: readonly (readonly [RegExp, string])[] = [
  [/\.layers\.(\d+)\.layer_norm([12])\./, '.blocks.$1.norm$2.'],
  [/\.layers\.(\d+)\./, '.blocks.$1.'],
  [/\.patch_embed\.projection\./, '.patch_embed.proj.'],
  [/\.neck\.conv1\./, '.neck.0.'],
  [/\.neck\.layer_norm1\./, '.neck.1.'],
  [/\.neck\.conv2\./, '.neck.2.'],
  [/\.neck\.layer_norm2\./, '.neck.3.'],
];

/** SAM's weights under the names of its authors, for what reads those of transformers. */
export const publishedSam = (tower: Weights): Weights =>
  tower.mapped((source) =>
    renamed(source, (name) => PUBLISHED.reduce((found, [own, other]) => found.replace(own, other), name)),
  );
