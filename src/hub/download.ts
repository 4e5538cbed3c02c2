import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { downloadFile } from '@huggingface/hub';
import { AtbError } from '../errors.js';
import { writing } from '../weights/durable-output.js';

/** A file of a repository. */
export interface RemoteFile {
  readonly path: string;
  readonly size: number;
  /** SHA-256 of the content, of large files; otherwise Git's SHA-1 of it. */
  readonly hash: { readonly kind: 'sha256' | 'git'; readonly hex: string };
}

export interface DownloadSource {
  readonly name: string;
  readonly commit: string;
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly fetch: typeof fetch;
}

/** Told of bytes that were there before, and of those that come. */
export type OnBytes = (count: number, isNew: boolean) => void;

/**
 * Fetches a file's content to `target`, which gets its name when size and hash are right. What an earlier try left is
 * gone on with.
 * @throws HUB_FILE_DAMAGED, OUTPUT_UNWRITABLE, and what the network throws
 */
export async function download(
  source: DownloadSource,
  file: RemoteFile,
  target: string,
  onBytes: OnBytes,
): Promise<void> {
  const partial = `${target}.incomplete`;
  const hash = hashOf(file);
  const done = await readPartial(partial, file.size, hash);
  onBytes(done, false);
  const handle = await writing('the cache', partial, () => open(partial, done > 0 ? 'a' : 'w'));
  try {
    if (done < file.size) await receive(source, file, done, handle, hash, onBytes);
    await writing('the cache', partial, () => handle.sync());
  } finally {
    await handle.close();
  }
  const found = hash.digest('hex');
  if (found !== file.hash.hex) {
    await rm(partial, { force: true });
    throw new AtbError('HUB_FILE_DAMAGED', {
      model: source.name,
      file: file.path,
      expected: file.hash.hex,
      found,
    });
  }
  await writing('the cache', target, () => rename(partial, target));
}

async function receive(
  { name, commit, endpoint, token, fetch }: DownloadSource,
  file: RemoteFile,
  from: number,
  handle: FileHandle,
  hash: Hash,
  onBytes: OnBytes,
): Promise<void> {
  const blob = await downloadFile({
    ...{ repo: name, path: file.path, revision: commit, hubUrl: endpoint, fetch, xet: false },
    ...(token !== undefined && { accessToken: token }),
  });
  if (blob === null || blob.size !== file.size) {
    const found = blob === null ? 'nothing' : `${blob.size} bytes`;
    throw new AtbError('HUB_FILE_DAMAGED', {
      model: name,
      file: file.path,
      expected: `${file.size} bytes`,
      found,
    });
  }
  const reader = blob.slice(from).stream().getReader();
  for (let left = file.size - from; ; ) {
    const { done, value } = await reader.read();
    if (done) {
      if (left === 0) return;
      throw new Error(`the connection ended ${left} bytes early`);
    }
    left -= value.length;
    if (left < 0) throw new Error('the hub sent more bytes than the file has');
    await writing('the cache', file.path, () => handle.writeFile(value));
    hash.update(value);
    onBytes(value.length, true);
  }
}

/** Git hashes a header before the content. */
function hashOf({ hash: { kind }, size }: RemoteFile): Hash {
  return kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

/** Bytes of an earlier try, which go into the hash. None when there are more than the file has. */
async function readPartial(partial: string, size: number, hash: Hash): Promise<number> {
  const found = await stat(partial).catch(() => undefined);
  if (found === undefined || found.size > size) return 0;
  for await (const piece of createReadStream(partial)) hash.update(piece as Buffer);
  return found.size;
}
