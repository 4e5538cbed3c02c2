import type { IntegerForm, WeightPart } from '../native/binding.js';
import type { Checkpoint } from '../weights/checkpoint.js';
import { TensorPlaces } from '../weights/unread-tensors.js';
import { contentKey } from '../weights/weight-identity.js';
import type { TensorRef } from '../weights/weights.js';
import type { QuantizedLayout } from './quantized-layouts.js';

/** A tensor that a quantised model reads and that stays floats in a quantised checkpoint, and why. */
export interface FloatTensor {
  readonly name: string;
  readonly reason: string;
}

/** What becomes of the tensors of a float checkpoint. */
export interface QuantizedTensors {
  /** Integers, by the names of the tensors that they stand for. */
  readonly forms: ReadonlyMap<string, IntegerForm>;
  readonly keptFloat: readonly FloatTensor[];
}

/**
 * Which tensors become integers, so that loading them gives what quantising at load gives. Rows are quantised one by one:
 * a tensor whose rows are split, reordered or repeated is quantised as it lies in the files. Other changes come before
 * rounding, which cannot be undone: such tensors stay floats, and so do all that are packed with one of them.
 */
export function quantizedTensors(
  { tensors }: Checkpoint,
  weights: readonly TensorRef[],
  layout: Pick<QuantizedLayout, 'refusal' | 'keepsTables'>,
): QuantizedTensors {
  const places = new TensorPlaces(tensors);
  const nameOf = (part: WeightPart): string | undefined =>
    part.file === undefined ? undefined : places.at(part.file, part.offset);
  const namesOf = ({ parts }: TensorRef): string[] => parts.flatMap((part) => nameOf(part) ?? []);
  const products = weights.filter(({ quantized }) => quantized?.role === 'weight');
  const integers = new Set(products.map(contentKey));
  const forms = new Map<string, IntegerForm>();
  const reasons = new Map<string, string>();
  for (const product of products) {
    const { parts, quantized } = product;
    if (quantized?.role !== 'weight') continue;
    const { bits, groupSize, activations } = quantized;
    const form = { bits, groupSize, activations };
    const hasConstants = parts.some((part) => part.file === undefined);
    for (const part of parts) {
      const name = nameOf(part);
      if (name === undefined) continue;
      const reason =
        change(part) ??
        (hasConstants ? 'it is packed with constants' : undefined) ??
        (sameForm(forms.get(name) ?? form, form)
          ? undefined
          : 'its rows become integers of different forms') ??
        (isMatrix(name, tensors.get(name)?.shape ?? []) ? undefined : 'it is a stack of matrices') ??
        layout.refusal(name, tensors.get(name)?.shape[1] ?? 0, form);
      if (reason !== undefined) reasons.set(name, reason);
      forms.set(name, form);
    }
  }
  for (const weight of weights) {
    // A table that is the same as a product's weight is read out of its integers.
    const isTable = integers.has(contentKey(weight)) && !layout.keepsTables;
    if (weight.quantized !== undefined || isTable) continue;
    for (const name of namesOf(weight))
      if (forms.has(name)) reasons.set(name, `"${weight.name}" reads it as floats`);
  }
  keepPackedTogether(products.map(namesOf), reasons);
  for (const name of reasons.keys()) forms.delete(name);
  return { forms, keptFloat: [...reasons].map(([name, reason]) => ({ name, reason })) };
}

/** Of one linear: matrices of several that lie one below the other are not called a weight. */
const isMatrix = (name: string, shape: readonly number[]): boolean =>
  shape.length === 2 && name.endsWith('.weight');

/** The change of a part, if any, that integers in the file cannot be loaded with to the same bits. */
function change(part: WeightPart): string | undefined {
  if (part.file === undefined) return undefined;
  if (part.transposed) return 'it is transposed while it is loaded';
  const { unitRows = false, times = 1, plus = 0 } = part;
  return unitRows || times !== 1 || plus !== 0 ? 'its numbers are changed while it is loaded' : undefined;
}

const sameForm = (a: IntegerForm, b: IntegerForm): boolean =>
  a.bits === b.bits && a.groupSize === b.groupSize && a.activations === b.activations;

/** Integers and floats cannot be packed into one product. */
function keepPackedTogether(packs: readonly string[][], reasons: Map<string, string>): void {
  for (let before = -1; before !== reasons.size; ) {
    before = reasons.size;
    for (const pack of packs) {
      const kept = pack.find((name) => reasons.has(name));
      if (kept === undefined) continue;
      for (const name of pack)
        if (!reasons.has(name)) reasons.set(name, `it is packed with "${kept}", which stays floats`);
    }
  }
}
