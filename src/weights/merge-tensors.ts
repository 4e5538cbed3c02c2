import type { CheckpointTensor } from './formats/format.js';
import type { SafetensorsFile } from './safetensors-file.js';
import type { ShardIndex } from './shard-index.js';

/** A file of the checkpoint and its name in the directory, which may be a link's. */
export interface NamedFile {
  readonly name: string;
  readonly file: SafetensorsFile;
}

/** A tensor that several files hold. */
export interface RepeatedTensor {
  readonly files: string[];
  /** The one of these files where the index places it. */
  placedIn: string | undefined;
}

/** Every tensor once. Of one that several files hold, the file where the index places it counts. */
export function mergeTensors(
  files: readonly NamedFile[],
  index: ShardIndex | undefined,
): {
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  readonly repeated: ReadonlyMap<string, RepeatedTensor>;
  /** Names under which tensors are known, too, by the metadata of their files: those of the tensors that hold them. */
  readonly aliases: ReadonlyMap<string, string>;
} {
  const tensors = new Map<string, CheckpointTensor>();
  const repeated = new Map<string, RepeatedTensor>();
  const isPlaced = (name: string, shard: string): boolean => index?.shardOf.get(name) === shard;
  for (const { name: shard, file } of files) {
    for (const [name, tensor] of file.tensors) {
      const first = tensors.get(name);
      if (first === undefined || isPlaced(name, shard)) tensors.set(name, { ...tensor, file: file.path });
      if (first === undefined) continue;
      const known = repeated.get(name) ?? { files: [first.file], placedIn: undefined };
      known.files.push(file.path);
      repeated.set(name, known);
    }
  }
  for (const { name: shard, file } of files) {
    for (const [name, known] of repeated)
      if (isPlaced(name, shard) && file.tensors.has(name)) known.placedIn = file.path;
  }
  return { tensors, repeated, aliases: aliasesIn(files, tensors) };
}

/** `save_model` of safetensors writes what parts of a model share once, and what else it is called as metadata. */
function aliasesIn(
  files: readonly NamedFile[],
  tensors: ReadonlyMap<string, CheckpointTensor>,
): Map<string, string> {
  const entries = files.flatMap(({ file }) => [...file.metadata]);
  return new Map(entries.filter(([name, holder]) => tensors.has(holder) && !tensors.has(name)));
}
