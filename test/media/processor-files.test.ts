import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import type { EncoderInput, MediaPiece } from '../../src/media/index.js';
import { getModel } from '../../src/models/get-model.js';
import { mediaFiles, visionCheckpoint } from '../oracle/vision.js';

const checkpoints: ReturnType<typeof visionCheckpoint>[] = [];

/** A case whose processor's files are these. */
function withFiles(name: string, files: Readonly<Record<string, object>>): string {
  const checkpoint = visionCheckpoint(name);
  checkpoints.push(checkpoint);
  for (const old of ['preprocessor_config.json', 'video_preprocessor_config.json'])
    rmSync(join(checkpoint.path, old), { force: true });
  for (const [file, says] of Object.entries(files))
    writeFileSync(join(checkpoint.path, file), JSON.stringify(says));
  return checkpoint.path;
}

/** What its processor makes of frames, or of a picture (none), and which words it asked for. */
async function shown(path: string, ...file: Parameters<typeof mediaFiles>) {
  const words: string[] = [];
  const processor = await (await getModel(path)).getMediaProcessor((text) => {
    words.push(text);
    return [7];
  });
  if (!processor) throw new Error('no processor');
  words.length = 0;
  const pieces: readonly MediaPiece[] = await processor.process(await mediaFiles(...file), 'it', 0, 1);
  const inputs = pieces.filter((piece): piece is EncoderInput => 'data' in piece);
  return { words, shapes: inputs.map(({ shape }) => shape), inputs, processor };
}

const problemOf = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing was refused',
    (error: Error) => error.message,
  );

describe("processors' files", () => {
  after(() => {
    for (const checkpoint of checkpoints) checkpoint.remove();
  });

  describe('of Kimi-K2.5', () => {
    // The keys of the published file; the model's video_token_id is that of transformers.
    const published = {
      media_proc_cfg: {
        in_patch_limit: 16,
        patch_size: 14,
        image_mean: [0.5, 0.5, 0.5],
        image_std: [0.5, 0.5, 0.5],
        merge_kernel_size: 2,
        fixed_output_tokens: null,
        patch_limit_on_one_side: 512,
        in_patch_limit_each_frame: 4,
        in_patch_limit_video: null,
        sample_fps: 2,
        max_num_frames_each_video: null,
        temporal_merge_kernel_size: 4,
        timestamp_mode: 'hh:mm:ss.fff',
      },
    };

    it('may say it in an object of their own, for pictures and for frames', async () => {
      const path = withFiles('kimi_k25', { 'preprocessor_config.json': published });
      expect((await shown(path, 0, 200, 200, 1)).shapes).to.deep.equal([[1, 6, 6]]);
      const { shapes, words } = await shown(path, 5, 200, 200, 1);
      expect(shapes).to.deep.equal([
        [4, 2, 2],
        [1, 2, 2],
      ]);
      expect(words).to.deep.equal([
        '00:00:00.000<|media_begin|>video<|media_content|>',
        '<|media_end|>',
        '00:00:02.000<|media_begin|>video<|media_content|>',
        '<|media_end|>',
      ]);
    });

    it('are those of transformers where they are silent: larger pictures than frames', async () => {
      const path = withFiles('kimi_k25', {});
      const { inputs } = await shown(path, 0, 924, 910, 1);
      expect(inputs[0]?.shape).to.deep.equal([1, 66, 66]);
      expect((await shown(path, 1, 924, 910, 1)).shapes).to.deep.equal([[1, 64, 66]]);
    });

    it('are refused by name for what the tower does not read', async () => {
      const saying = (says: object) => withFiles('kimi_k25', { 'preprocessor_config.json': says });
      const picture = [0, 30, 30, 1] as const;
      expect(await problemOf(shown(saying({ patch_size: 16 }), ...picture))).to.match(/patch_size .*14/);
      expect(await problemOf(shown(saying({ merge_size: 1 }), ...picture))).to.match(/merge_size .*2/);
      expect(await problemOf(shown(saying({ temporal_patch_size: 8 }), ...picture))).to.match(
        /temporal_patch_size .*at most 4/,
      );
      expect(
        await problemOf(shown(saying({ size: { max_height: 8, max_width: 9 } }), ...picture)),
      ).to.contain('size must have equal max_height and max_width');
    });
  });

  describe('of GLM', () => {
    const seconds = async (name: string, processor_class: string | undefined) => {
      const { words } = await shown(
        withFiles(name, { 'preprocessor_config.json': { processor_class } }),
        ...([4, 56, 56, 1] as const),
      );
      return words;
    };

    it('decide how times of frames are written, whatever the model_type', async () => {
      expect(await seconds('glm4v', undefined)).to.deep.equal(['0', '1']);
      expect(await seconds('glm46v', undefined)).to.deep.equal(['0.0 seconds', '1.0 seconds']);
      expect(await seconds('glm4v', 'Glm46VProcessor')).to.deep.equal(['0.0 seconds', '1.0 seconds']);
      expect(await seconds('glm46v', 'Glm4vProcessor')).to.deep.equal(['0', '1']);
    });
  });

  describe('of LFM2-VL', () => {
    const saying = (says: object) =>
      withFiles('lfm2_vl', { 'preprocessor_config.json': { encoder_patch_size: 4, ...says } });
    const picture = [0, 100, 50, 1] as const;

    it('decide whether pictures are cut', async () => {
      const small = { tile_size: 32, max_tiles: 4, min_image_tokens: 4, max_image_tokens: 16 };
      expect((await shown(saying(small), ...picture)).shapes).to.have.length(3);
      const whole = await shown(saying({ ...small, do_image_splitting: false }), ...picture);
      expect(whole.shapes).to.have.length(1);
      const tiles = await shown(saying({ ...small, use_thumbnail: false }), ...picture);
      expect(tiles.shapes).to.deep.equal([
        [1, 8, 8],
        [1, 8, 8],
      ]);
    });

    it('are refused by name for what the tower does not read', async () => {
      expect(await problemOf(shown(saying({ encoder_patch_size: 16 }), ...picture))).to.match(
        /encoder_patch_size .*4/,
      );
      expect(await problemOf(shown(saying({ downsample_factor: 4 }), ...picture))).to.match(
        /downsample_factor .*2/,
      );
      expect(await problemOf(shown(saying({ tile_size: 30 }), ...picture))).to.match(
        /tile_size .*multiple of 8/,
      );
      expect(await problemOf(shown(saying({ min_tiles: 9, max_tiles: 4 }), ...picture))).to.match(
        /min_tiles .*at most max_tiles/,
      );
    });
  });
});
