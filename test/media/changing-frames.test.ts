import { expect } from 'chai';
import sharp from 'sharp';
import type { EncodeWords } from '../../src/media/index.js';
import { getModel } from '../../src/models/get-model.js';
import { visionCheckpoint } from '../oracle/vision.js';
import { picture } from './pictures.js';

/** Pixels along a side of the case's frames, and of their blocks: two patches of 14. */
const [SIDE, UNIT] = [56, 28];

describe('frames of VideoLLaMA3', () => {
  it('become tokens where a block differs by more than a tenth of a byte, as its processor masks them', async () => {
    const checkpoint = visionCheckpoint('video_llama_3');
    try {
      const said: string[] = [];
      const encode: EncodeWords = (words) => [said.push(words)];
      const processor = await (await getModel(checkpoint.path)).getMediaProcessor(encode);
      const first = picture(SIDE, SIDE, 1).data;
      // A byte is two steps of a normalised number: 118 bytes of a block's 2352 are the first that count.
      const raised = (before: Uint8Array, [row, column]: readonly [number, number], count: number) => {
        const after = Uint8Array.from(before);
        for (let i = 0; i < count; i++) {
          const at = ((row * UNIT + Math.floor(i / 84)) * SIDE + column * UNIT) * 3 + (i % 84);
          after[at] = (after[at] ?? 0) ^ 1;
        }
        return after;
      };
      const second = raised(first, [1, 0], 118);
      const third = raised(second, [1, 1], 117);
      const raw = { width: SIDE, height: SIDE, channels: 3 as const };
      const files = await Promise.all(
        [first, second, third].map((data) => sharp(data, { raw }).png().toBuffer()),
      );
      const pieces = await processor?.process({ kind: 'video', files, fps: 4 }, 'it', 0, 1);
      const shown = (pieces ?? []).flatMap((piece) => ('data' in piece ? [piece] : []));
      // Of a frame of which nothing counts its first block stands for it.
      expect(shown.map(({ count }) => count)).to.deep.equal([4, 1, 1]);
      const rowsOf = (frame: number) => shown[frame]?.shares?.rows.map(([row]) => row);
      expect([rowsOf(1), rowsOf(2)]).to.deep.equal([
        [8, 9, 12, 13],
        [0, 1, 4, 5],
      ]);
      // Python writes a quarter of a second as 0.2.
      expect(said).to.deep.equal(['Time 0.0s:', ',Time 0.2s:', ',Time 0.5s:']);
    } finally {
      checkpoint.remove();
    }
  });
});
