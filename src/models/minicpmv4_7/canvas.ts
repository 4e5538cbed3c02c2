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

/**
 * Positions on canvases: a picture's tokens are spread over one as large as all its slices, whose tokens lie where they
 * are in the picture, and words about both stand at its corners (transformers 5.24, `MiniCPMV4_7Model.get_rope_index`).
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
    const first = whole.start - 1;
    // Words between frames have places as in a text, and what follows them begins one further on.
    all.placeWords(first);
    let end = endOf(slices.at(-1) ?? whole);
    while (end < tokens.length && this.marks.has(tokens[end] ?? -1)) end++;
    const columns = columnsOf(slices);
    const slice = slices[0] ? this.sizeOf(slices[0]) : [0, 0];
    const [height, width] = slices[0]
      ? [(slices.length / columns) * slice[0], columns * slice[1]]
      : this.sizeOf(whole);
    const origin = all.position;
    const at = (y: number, x: number): Position => [origin, origin + y, origin + x];
    all.fill(first, end, at(0, 0));
    const before = origin > 0 ? -1 : 0;
    all.set(first, at(before, before));
    all.setWithin(endOf(whole), end, at(height, width));
    this.spread(whole, height, width, (place, y, x) => all.set(place, at(y, x)));
    for (const [index, one] of slices.entries()) {
      const line = Math.floor(index / columns);
      const [top, left] = [line * slice[0], (index % columns) * slice[1]];
      const [high, wide] = this.sizeOf(one);
      all.set(one.start - 1, at(top, left));
      all.setWithin(endOf(one), end, at(top + high - 1, left + wide - 1));
      this.spread(one, high, wide, (place, y, x) => all.set(place, at(top + y, left + x)));
      // What parts this line from the next one stands at its end.
      const next = slices[index + 1]?.start ?? 0;
      for (let word = endOf(one) + 1; word < next - 1; word++)
        all.set(word, at((line + 1) * slice[0] - 1, columns * slice[1]));
    }
    all.go(end, origin + Math.max(height, width) + 1);
  }

  /** How many tokens it has below each other and side by side. */
  private sizeOf({ input: { shape } }: Insert): readonly [height: number, width: number] {
    return [shape[1] / this.patches, shape[2] / this.patches];
  }

  /** Where each of its tokens lies that are spread over so many places. */
  private spread(
    insert: Insert,
    height: number,
    width: number,
    set: (place: number, y: number, x: number) => void,
  ): void {
    const [rows, columns] = this.sizeOf(insert);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const place = insert.start + row * columns + column;
        set(place, along(height, rows, row), along(width, columns, column));
      }
  }
}

/** Slices of a line, which a word parts from the next one: all where there is no such word, or lines differ. */
function columnsOf(slices: readonly Insert[]): number {
  const last = slices.findIndex((slice, index) => (slices[index + 1]?.start ?? 0) - endOf(slice) > 2);
  return last < 0 || slices.length % (last + 1) !== 0 ? slices.length : last + 1;
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
