import type { EncodeWords, MediaProcessor } from '../../media/index.js';
import { AnyresProcessor, publishedSquares, readAnyresPictures, standIn } from '../base/llava/index.js';
import type { ModelFolder } from '../base/processor-files.js';
import { CLIP_CHANNELS } from '../base/vision/index.js';
import type { LlavaLlamaConfig } from './config.js';

/** Squares, or tiles, as the files say; of tokenizers of Llama and Mistral `<unk>` stands for a picture. */
export async function llavaLlamaProcessor(
  folder: ModelFolder,
  { aspect, vision, canvases, select, ...config }: LlavaLlamaConfig,
  encode: EncodeWords,
): Promise<MediaProcessor> {
  const standing = standIn(encode, '<unk>');
  const { imageSize: side, patchSize } = vision;
  if (aspect !== 'anyres')
    return publishedSquares(
      folder,
      { side, patchSize, isPadded: aspect === 'pad', channels: CLIP_CHANNELS, keepsFirst: select === 'full' },
      standing,
    );
  const model = { ...config, vision, select, canvases, imageTokenId: standing.placeholders.image };
  const tiles = new AnyresProcessor(await readAnyresPictures(folder, model, side, side), model);
  return Object.assign(tiles, { partTexts: standing.partTexts });
}
