import { type ExpandedPrompt, endOf, type Insert } from '../../media/index.js';

/** The ids of words about pictures and their slices, and of that which ends a line of slices. */
export interface CanvasMarks {
  readonly imageStart: number;
  readonly imageEnd: number;
  readonly sliceStart: number;
  readonly sliceEnd: number;
  readonly newline: number;
}

/** A picture, or a frame: the whole, and perhaps its slices row by row. */
interface Frame {
  readonly whole: Insert;
  readonly slices: Insert[];
}

type Position = [time: number, height: number, width: number];

/** How many tokens a picture or slice has below each other and side by side, of so many patches along a side each. */
type SizeOf = (insert: Insert) => readonly [height: number, width: number];

/**
 * Positions on canvases: a picture's tokens are spread over one as large as all its slices, whose tokens lie where they are
 * in the picture, and words about both stand at its corners (transformers 5.24, `MiniCPMV4_7Model.get_rope_index`).
 */
export class Canvases {
  private readonly marks: ReadonlySet<number>;

  /** `patches`: along a side of a token. */
  constructor(
    private readonly ids: CanvasMarks,
    private readonly patches: number,
  ) {
    const { imageStart, imageEnd, sliceStart, sliceEnd, newline } = ids;
    this.marks = new Set([imageStart, imageEnd, sliceStart, sliceEnd, newline]);
  }

  /** The inserts of the prompt, which say where their tokens and those about them are. */
  place({ tokens, inserts }: ExpandedPrompt): ExpandedPrompt {
    const placed: Insert[] = [];
    let position = 0;
    let behind = 0;
    for (const frames of this.groupsOf(tokens, inserts)) {
      const start = (frames[0]?.whole.start ?? 1) - 1;
      position += start - behind;
      const all = new GroupPositions(start, position);
      for (const frame of frames) this.placeFrame(all, frame, tokens);
      behind = all.end;
      const span = { start, offsets: all.offsets(), extent: all.position - position };
      for (const { whole, slices } of frames)
        placed.push(...[whole, ...slices].map((insert) => ({ ...insert, placed: span })));
      position = all.position;
    }
    return { tokens, inserts: placed };
  }

  /** Frames between which nothing but marks stands. */
  private groupsOf(tokens: Int32Array, inserts: readonly Insert[]): Frame[][] {
    const groups: Frame[][] = [];
    let before = 0;
    for (const insert of inserts) {
      const { start } = insert;
      const frame = groups.at(-1)?.at(-1);
      if (frame && tokens[start - 1] === this.ids.sliceStart) frame.slices.push(insert);
      else {
        const gap = tokens.subarray(before, Math.max(start - 1, before));
        const isNext = groups.length > 0 && gap.every((token) => this.marks.has(token));
        const own = { whole: insert, slices: [] };
        if (isNext) groups.at(-1)?.push(own);
        else groups.push([own]);
      }
      before = endOf(insert);
    }
    return groups;
  }

  private placeFrame(all: GroupPositions, { whole, slices }: Frame, tokens: Int32Array): void {
    const sizeOf: SizeOf = ({ input: { shape } }) => [shape[1] / this.patches, shape[2] / this.patches];
    const first = whole.start - 1;
    // Words between frames have places as in a text, and what follows them begins one further on.
    all.placeWords(first);
    let end = endOf(slices.at(-1) ?? whole);
    while (end < tokens.length && this.marks.has(tokens[end] ?? -1)) end++;
    const [wide, columns] = [endOfRow(slices), Math.max(1, endOfRow(slices))];
    const [sliceHeight, sliceWidth] = slices[0] ? sizeOf(slices[0]) : [0, 0];
    const [ownHeight, ownWidth] = sizeOf(whole);
    const height = wide > 0 ? Math.floor(slices.length / columns) * sliceHeight : ownHeight;
    const width = wide > 0 ? columns * sliceWidth : ownWidth;
    const origin = all.position;
    all.fill(first, end, [origin, origin, origin]);
    const before = Math.max(origin - 1, 0);
    all.set(first, [origin, before, before]);
    all.setWithin(endOf(whole), end, [origin, origin + height, origin + width]);
    const spread = (insert: Insert, [high, long]: readonly [number, number], top: number, left: number) => {
      const [rows, across] = sizeOf(insert);
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < across; column++)
          all.set(insert.start + row * across + column, [
            origin,
            origin + top + along(high, rows, row),
            origin + left + along(long, across, column),
          ]);
    };
    spread(whole, [height, width], 0, 0);
    for (const [place, slice] of slices.entries()) {
      const [top, left] = [Math.floor(place / columns) * sliceHeight, (place % columns) * sliceWidth];
      const [high, long] = sizeOf(slice);
      all.set(slice.start - 1, [origin, origin + top, origin + left]);
      all.setWithin(endOf(slice), end, [origin, origin + top + high - 1, origin + left + long - 1]);
      spread(slice, [high, long], top, left);
      const next = slices[place + 1];
      const bottom = origin + (Math.floor(place / columns) + 1) * sliceHeight - 1;
      for (let word = endOf(slice) + 1; next && word < next.start - 1; word++)
        all.set(word, [origin, bottom, origin + columns * sliceWidth]);
    }
    all.go(end, origin + Math.max(height, width) + 1);
  }
}

/** Slices of a line, of which a word parts it from the next one: all where there is no such word, or lines differ. */
function endOfRow(slices: readonly Insert[]): number {
  const parted = slices.findIndex((slice, place) => (slices[place + 1]?.start ?? 0) - endOf(slice) > 2);
  const columns = parted < 0 ? slices.length : parted + 1;
  return columns > 0 && slices.length % columns === 0 ? columns : slices.length;
}

/** Of `count` places that are spread over `size` ones, where one of them lies: as torch rounds, halves to even. */
function along(size: number, count: number, place: number): number {
  if (count === size || count < 2) return count < 2 ? 0 : place;
  const [step, last] = [Math.fround((size - 1) / (count - 1)), size - 1];
  // torch counts the second half from the end.
  const at = place < Math.floor(count / 2) ? step * place : last - step * (count - 1 - place);
  const exact = Math.fround(at);
  const low = Math.floor(exact);
  if (exact - low !== 0.5) return Math.round(exact);
  return low % 2 === 0 ? low : low + 1;
}

/** Positions of the tokens of a group of frames. */
class GroupPositions {
  private readonly positions: Position[] = [];
  private readonly first: number;
  /** The place behind the last token that has a position. */
  end: number;

  /** `start`: the place of the first; `position`: that of the next word. */
  constructor(
    private readonly start: number,
    public position: number,
  ) {
    this.first = position;
    this.end = start;
  }

  set(place: number, position: Position): void {
    this.positions[place - this.start] = position;
  }

  /** The same of a word that is one of those up to `end`. */
  setWithin(place: number, end: number, position: Position): void {
    if (place < end) this.set(place, position);
  }

  fill(from: number, to: number, position: Position): void {
    for (let place = from; place < to; place++) this.set(place, position);
  }

  /** Words between frames, up to that place. */
  placeWords(to: number): void {
    if (to <= this.end) return;
    for (let place = this.end; place < to; place++, this.position++)
      this.set(place, [this.position, this.position, this.position]);
    this.position++;
  }

  /** Goes on behind a frame, at that position. */
  go(end: number, position: number): void {
    this.end = end;
    this.position = position;
  }

  /** How far each is ahead of the first position. */
  offsets(): Position[] {
    return this.positions.map(([time, height, width]) => [
      time - this.first,
      height - this.first,
      width - this.first,
    ]);
  }
}
