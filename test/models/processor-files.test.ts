import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { AtbError } from '../../src/errors.js';
import type { MediaPiece } from '../../src/media/index.js';
import { getModel } from '../../src/models/get-model.js';
import { wavOf } from '../media/sounds.js';
import { encodeWords, mediaFiles, visionCheckpoint } from '../oracle/vision.js';

type Files = Readonly<Record<string, object>>;

const [PICTURES, VIDEOS, BOTH] = [
  'preprocessor_config.json',
  'video_preprocessor_config.json',
  'processor_config.json',
];

/** What a case's processor makes of something where its files are these, and config.json is changed. */
async function processed(
  name: string,
  files: Files,
  media: Parameters<typeof mediaFiles>,
  changes: object = {},
): Promise<readonly MediaPiece[]> {
  const { path, remove } = visionCheckpoint(name);
  try {
    for (const file of [PICTURES, VIDEOS, BOTH]) if (existsSync(join(path, file))) rmSync(join(path, file));
    for (const [file, content] of Object.entries(files))
      writeFileSync(join(path, file), JSON.stringify(content));
    const config = JSON.parse(readFileSync(join(path, 'config.json'), 'utf8'));
    writeFileSync(join(path, 'config.json'), JSON.stringify({ ...config, ...changes }));
    const processor = await (await getModel(path)).getMediaProcessor(encodeWords);
    if (!processor) throw new Error('no processor');
    return await processor.process(await mediaFiles(...media), 'it', 0, 1);
  } finally {
    remove();
  }
}

/** Tokens of what encoders read. */
const countOf = (pieces: readonly MediaPiece[]): number =>
  pieces.reduce((sum, piece) => sum + ('data' in piece ? piece.count : 0), 0);

const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => new Error('nothing was refused'),
    (thrown: unknown) => thrown,
  );
  return error instanceof AtbError ? `${error.code}: ${error.message}` : String(error);
};

describe('files about processors', () => {
  const picture = [0, 300, 200, 3] as const;
  const small = { shortest_edge: 3136, longest_edge: 20_000 };
  const huge = { min_pixels: 3136, max_pixels: 12_845_056 };

  // As Qwen2VLImageProcessor of transformers 5.24 counts patches, or as what it refuses is meant.
  for (const [what, files, count] of [
    ['pixels by their old names', { [PICTURES]: { ...huge, max_pixels: 20_000 } }, 24],
    ['pixels by their new names', { [PICTURES]: { size: small } }, 24],
    ['old names before new ones', { [PICTURES]: { ...huge, size: small } }, 77],
    [
      'new names where old ones are null',
      { [PICTURES]: { min_pixels: null, max_pixels: null, size: small } },
      24,
    ],
    ['new names before old ones within size', { [PICTURES]: { size: { ...huge, ...small } } }, 24],
    ['old names within size', { [PICTURES]: { size: { min_pixels: 3136, max_pixels: 20_000 } } }, 24],
    ['a member of the newer file', { [BOTH]: { image_processor: { size: small } } }, 24],
    ['it before the older file', { [BOTH]: { image_processor: { size: small } }, [PICTURES]: huge }, 24],
    [
      'the older file beside a newer one without it',
      { [BOTH]: { processor_class: 'x' }, [PICTURES]: huge },
      77,
    ],
    ['nothing', {}, 77],
  ] as const)
    it(`say how large pictures are: ${what}`, async () => {
      expect(countOf(await processed('qwen2_vl', files, [...picture]))).to.equal(count);
    });

  const video = [2, 300, 200, 3] as const;
  for (const [what, files, count] of [
    ['of their own', { [VIDEOS]: { size: small }, [PICTURES]: huge }, 24],
    ['within the newer file', { [BOTH]: { video_processor: { size: small } }, [VIDEOS]: huge }, 24],
    ['of pictures', { [PICTURES]: { size: small } }, 24],
    // Qwen2VLVideoProcessor's own, of 128 blocks at least.
    ['nothing', {}, 140],
  ] as const)
    it(`say how large frames are: ${what}`, async () => {
      expect(countOf(await processed('qwen2_vl', files, [...video]))).to.equal(count);
    });

  it('bring pictures to sizes of both sides, as transformers does for CLIP', async () => {
    const crop_size = { height: 56, width: 56 };
    const [whole] = await processed('llava', { [PICTURES]: { size: crop_size, crop_size } }, [...picture]);
    const [middle] = await processed('llava', { [PICTURES]: { size: 56, crop_size: 56 } }, [...picture]);
    const first = (piece?: MediaPiece) => (piece && 'data' in piece ? piece.data[0] : undefined);
    expect(first(whole)).to.not.equal(first(middle));
  });

  it('are refused where they contradict the encoder', async () => {
    for (const [name, files, said] of [
      ['qwen2_vl', { [PICTURES]: { patch_size: 16 } }, 'patch_size must be 14'],
      ['qwen2_vl', { [PICTURES]: { merge_size: 1 } }, 'merge_size must be 2'],
      ['qwen2_vl', { [VIDEOS]: { temporal_patch_size: 1 } }, 'temporal_patch_size must be 2'],
      ['qwen3_vl', { [VIDEOS]: { patch_size: 14 } }, 'patch_size must be 16'],
      ['internvl', { [VIDEOS]: { size: { height: 70, width: 70 } } }, 'size must be 56'],
      ['llava', { [PICTURES]: { size: 40, crop_size: 56 } }, 'crop_size'],
      ['llava-siglip', { [PICTURES]: { size: { height: 56, width: 56 } } }, 'size must be 60'],
      ['llava_next', { [PICTURES]: { size: 56 } }, 'crop_size must be 56'],
      ['llava_next', { [PICTURES]: { size: 28, crop_size: 56 } }, 'size must be 56'],
      [
        'llava_next',
        { [PICTURES]: { size: 56, crop_size: 56, image_grid_pinpoints: [[56, 112]] } },
        'image_grid_pinpoints must be 56 x 112, 112 x 56',
      ],
      [
        'llava_onevision',
        { [PICTURES]: { size: { height: 76, width: 76 } }, [VIDEOS]: { size: { height: 56, width: 56 } } },
        'size must be 76',
      ],
      ['cohere2_vision', { [PICTURES]: { size: { height: 56, width: 56 } } }, 'patch_size must be 2'],
      ['aya_vision', { [PICTURES]: { size: { height: 28, width: 28 } } }, 'size must be 56'],
      ['cohere2_vision', { [PICTURES]: { patch_size: 2 } }, 'size must be 56'],
      ['blip_2', { [PICTURES]: {} }, 'size must be 28'],
      ['janus', { [PICTURES]: { size: 60 } }, 'size must be 56'],
      ['deepseek_vl_hybrid', { [PICTURES]: { size: 28 } }, 'high_res_size must be 48'],
      ['deepseek_vl_hybrid', { [PICTURES]: { resample: 0 } }, 'resample must be 1, 2 or 3, found 0'],
      ['janus', { [PICTURES]: { size: 56, min_size: 57 } }, 'min_size must be at most size (56), found 57'],
      ['janus', { [BOTH]: { num_image_tokens: 576 } }, 'num_image_tokens must be 16'],
      ['janus', { [BOTH]: { generation_mode: 'image' } }, 'generation_mode must be text'],
      ['qwen2_audio', { [PICTURES]: { feature_size: 80 } }, 'feature_size must be 32'],
      ['qwen2_audio', { [PICTURES]: { hop_length: 320 } }, 'hop_length must be 160'],
      ['voxtral', { [PICTURES]: { feature_size: 128 } }, 'feature_size must be 32'],
      ['qwen3_asr', { [PICTURES]: { n_window: 100 } }, 'n_window must be 50'],
      ['voxtral_realtime', { [PICTURES]: { win_length: 320 } }, 'win_length must be 400'],
      [
        'voxtral_realtime',
        { 'tekken.json': { audio: { transcription_delay_ms: 800 } } },
        'transcription_delay_ms must be 480, or default_num_delay_tokens of config.json to be 10, found 800',
      ],
      [
        'voxtral_realtime',
        { 'tekken.json': { audio: { frame_rate: 25 } } },
        'frame_rate must be 12.5, as audio_length_per_tok says',
      ],
      [
        'qwen2_audio',
        { [BOTH]: { feature_extractor: { sampling_rate: 8000 } } },
        'sampling_rate must be 16000',
      ],
    ] as const)
      expect(await refusal(processed(name, files, [...picture])), name).to.contain(said);
    const frames = processed('instructblipvideo', { [VIDEOS]: { size: 28 } }, [2, 30, 30, 3]);
    expect(await refusal(frames)).to.contain('4 frames');
  });

  it('and config.json may name the same token in two ways, and one layer as a list', async () => {
    const files = { [PICTURES]: { size: 56, crop_size: 56 } };
    const [named] = await processed('llava', files, [...picture], { vision_feature_layer: [-2] });
    const [plain] = await processed('llava', files, [...picture]);
    expect(named).to.deep.equal(plain);
    const other = processed('llava', files, [...picture], { image_token_id: 7 });
    expect(await refusal(other)).to.contain('image_token_index and image_token_id contradict each other');
  });

  it('say how long silence before a sound is that is written down while it is heard', async () => {
    const audio = { streaming_n_left_pad_tokens: 5, transcription_delay_ms: 480 };
    const [piece] = await processed('voxtral_realtime', { 'tekken.json': { audio } }, [-1, 1281, 16_000, 1]);
    // Silence, two tokens of sound, the delay, a first token, and room for a word; of these a prompt is what comes first.
    const [count, prompt] = [5 + 2 + 6 + 1 + 10, 1 + 5 + 6];
    expect(piece).to.deep.include({ count, ahead: count - prompt, rows: 4 * count });
    expect(piece && 'tokens' in piece ? piece.tokens?.length : undefined).to.equal(prompt);
  });

  it('leave nothing to be computed of sound but the half minute that is heard', async () => {
    const { path, remove } = visionCheckpoint('qwen2_audio');
    const processor = await (await getModel(path)).getMediaProcessor(encodeWords);
    remove();
    // At one sample a second, all of it would become 2^33 samples.
    const file = wavOf(new Uint8Array(2 ** 19).fill(128), 1);
    const pieces = await processor?.process({ kind: 'audio', files: [file] }, 'it', 0, 1);
    expect(countOf(pieces ?? [])).to.equal(750);
  });

  it('let sound be as long as models are made for, and no longer', async () => {
    const heard = (samples: number, rate: number) => processed('voxtral', {}, [-1, samples, rate, 1]);
    expect(await refusal(heard(2401, 1))).to.match(/MEDIA_UNSUPPORTED.*at most 2400 s of sound.*2401 s/);
    // Stretches of 0.48 s, in each of which six tokens are.
    expect(countOf(await heard(80_001, 16_000))).to.equal(6 * 11);
  });
});
