import { AtbError } from '../errors.js';
import { type Adapter, adapterTensor } from './adapter.js';
import { type LinearPart, scaledRows, storedOutputs, takenRows } from './linear-part.js';
import type { TensorRef } from './tensor-ref.js';
import { named } from './weight-changes.js';
import { concatRows, type Weights } from './weights.js';

/** What one adapter adds to what a linear gives: up(down(x)), piece by piece. */
export interface LinearAdapter {
  /** Its place among the adapters of the run. */
  readonly index: number;
  readonly rank: number;
  /** [rank * pieces that it has, inFeatures], one piece's below the other's. */
  readonly down: TensorRef;
  /** For each piece [outFeatures, rank]; undefined for one that it leaves as it is. */
  readonly ups: readonly (TensorRef | undefined)[];
}

/** What adapters add to a linear. */
export interface LinearAdapters {
  /** Neighbouring outputs that are of one projection of the checkpoint. */
  readonly pieces: readonly number[];
  readonly adapters: readonly LinearAdapter[];
}

/** What the adapters of a run have for a linear of these parts; undefined where they have nothing. */
export function linearAdapters(
  weights: Weights,
  name: string,
  parts: readonly LinearPart[],
  inFeatures: number,
): LinearAdapters | undefined {
  const pieces = piecesOf(parts);
  const adapters = weights.adapters.flatMap((adapter, index) => {
    const found = ofAdapter(weights, name, pieces, inFeatures, adapter);
    return found ? [{ index, ...found }] : [];
  });
  if (adapters.length === 0) return undefined;
  return { pieces: pieces.map(outputsOf), adapters };
}

type Piece = readonly [LinearPart, ...LinearPart[]];

/** Neighbours that are rows of one projection have one adapter. */
function piecesOf(parts: readonly LinearPart[]): readonly Piece[] {
  const pieces: [LinearPart, ...LinearPart[]][] = [];
  for (const part of parts) {
    const last = pieces.at(-1);
    if (last?.[0].name === part.name) last.push(part);
    else pieces.push([part]);
  }
  return pieces;
}

const outputsOf = (piece: Piece): number => piece.reduce((sum, { outFeatures }) => sum + outFeatures, 0);

function ofAdapter(
  weights: Weights,
  name: string,
  pieces: readonly Piece[],
  inFeatures: number,
  { name: adapter, rank }: Adapter,
): Omit<LinearAdapter, 'index'> | undefined {
  const stored = ([{ name: projection }]: Piece, product: 'A' | 'B') =>
    `${adapterTensor(projection, product, adapter)}.weight`;
  const downs = pieces
    .filter((piece) => weights.has(stored(piece, 'A')))
    .map((piece) => weights.get(stored(piece, 'A'), [rank, inFeatures]));
  const [first, ...others] = downs;
  if (first === undefined) return undefined;
  const ups = pieces.map((piece, at) => {
    if (!weights.has(stored(piece, 'A'))) return undefined;
    const rows = piece.map((part) => upRows(weights, part, stored(piece, 'B'), rank)) as [
      TensorRef,
      ...TensorRef[],
    ];
    return named(concatRows(rows[0].name, rows), weights.path(`${adapterTensor(name, 'B', adapter)}.${at}`));
  });
  return { rank, down: concatRows(weights.path(adapterTensor(name, 'A', adapter)), [first, ...others]), ups };
}

/** Outputs of an adapter lie as those of its projection do in the engine. */
function upRows(weights: Weights, part: LinearPart, stored: string, rank: number): TensorRef {
  const found = weights.get(stored, [storedOutputs(part), rank]);
  if (part.unitRows || part.kernel)
    throw new AtbError('WEIGHT_CHANGE_INVALID', {
      name: found.name,
      change: 'an adapter',
      expected: 'a projection that is read as it is',
      found: part.unitRows ? 'one whose rows are brought to length 1' : 'a convolution',
    });
  return scaledRows(takenRows(found, part), part);
}
