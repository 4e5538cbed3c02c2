import { rename, rm, stat, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { HubApiError, listFiles, modelInfo } from '@huggingface/hub';
import { describeValue } from '../describe-value.js';
import { AtbError } from '../errors.js';
import { makeFolder } from '../make-folder.js';
import { writeSynced, writing } from '../weights/durable-output.js';
import { isGgufPath } from '../weights/gguf/model-file.js';
import { findSnapshot, repoFolder } from './cache.js';
import { type DownloadSource, download, type RemoteFile } from './download.js';
import { cacheDirOf, DEFAULT_ENDPOINT, type HubOptions } from './hub-options.js';
import { parseModelName } from './model-name.js';
import { ggufFiles, wantedFiles } from './wanted-files.js';

export interface PullOptions extends HubOptions {
  /** A GGUF file of the repository, by its path there: it and nothing else is fetched. */
  readonly file?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes arrive; what the cache holds already counts as arrived. */
  readonly onProgress?: ((doneBytes: number, totalBytes: number) => void) | undefined;
}

export interface Pulled {
  /** The snapshot: a folder that every `--model_path` takes. */
  readonly folder: string;
  /** What `--model_path` takes: the folder, or the GGUF file that was asked for. */
  readonly path: string;
  readonly commit: string;
  readonly files: number;
  readonly bytes: number;
  /** Bytes that came over the network. */
  readonly fetchedBytes: number;
}

/** Files that are fetched at the same time. */
const PARALLEL = 4;
/** Tries of a file, each of which goes on where the one before it ended. */
const TRIES = 4;
const FIRST_WAIT_MS = 500;
/** GGUF files that a message names. */
const SHOWN_FILES = 8;

/**
 * Fetches what is needed to run a model into the Hugging Face cache: settings, tokenizer and safetensors, each checked by
 * size and hash; or the one GGUF file that is asked for. Goes on where an earlier call was stopped.
 *
 * @param given `org/name` or `org/name@revision`.
 * @throws HUB_OFFLINE, HUB_NOT_FOUND, HUB_REFUSED, HUB_UNREACHABLE, HUB_FILE_DAMAGED, OUTPUT_UNWRITABLE, OUTPUT_ABORTED
 */
export async function pullModel(given: string, options: PullOptions = {}): Promise<Pulled> {
  const model = parseModelName(given);
  const cacheDir = cacheDirOf(options);
  if (options.isOffline) {
    const folder = await findSnapshot(model, cacheDir, options.file);
    if (folder === undefined) throw new AtbError('HUB_OFFLINE', { model: given, cacheDir });
    const commit = folder.split(/[\\/]/).at(-1) ?? '';
    return { folder, path: pathIn(folder, options.file), commit, files: 0, bytes: 0, fetchedBytes: 0 };
  }
  const puller = new Puller(given, model.name, cacheDir, options);
  return puller.pull(model.revision);
}

class Puller {
  readonly #given: string;
  readonly #name: string;
  readonly #repo: string;
  readonly #options: PullOptions;
  readonly #access: { hubUrl: string; fetch: typeof fetch; accessToken?: string };
  #done = 0;
  #total = 0;
  #fetched = 0;

  constructor(given: string, name: string, cacheDir: string, options: PullOptions) {
    this.#given = given;
    this.#name = name;
    this.#repo = repoFolder(cacheDir, name);
    this.#options = options;
    const { signal, token } = options;
    this.#access = {
      hubUrl: options.endpoint ?? DEFAULT_ENDPOINT,
      fetch: (input, init) => fetch(input, signal ? { ...init, signal } : init),
      ...(token !== undefined && { accessToken: token }),
    };
  }

  async pull(revision: string): Promise<Pulled> {
    const { commit, files } = await this.#asked(async () => this.#list(revision));
    this.#total = files.reduce((sum, { size }) => sum + size, 0);
    const folder = join(this.#repo, 'snapshots', commit);
    const waiting = [...files];
    const worker = async (): Promise<void> => {
      for (let file = waiting.shift(); file !== undefined; file = waiting.shift())
        await this.#fetchFile(file, commit, folder);
    };
    try {
      await Promise.all(Array.from({ length: PARALLEL }, worker));
    } finally {
      // The others end with the file that they are at.
      waiting.length = 0;
    }
    if (revision !== commit) await this.#writeRef(revision, commit);
    const path = pathIn(folder, this.#options.file);
    return { folder, path, commit, files: files.length, bytes: this.#total, fetchedBytes: this.#fetched };
  }

  async #list(revision: string): Promise<{ commit: string; files: RemoteFile[] }> {
    const { sha } = await modelInfo({
      ...this.#access,
      name: this.#name,
      revision,
      additionalFields: ['sha'],
    });
    const found = new Map<string, RemoteFile>();
    const repo = this.#name;
    for await (const { type, path, size, oid = '', lfs } of listFiles({
      ...this.#access,
      ...{ repo, revision: sha, recursive: true },
    })) {
      const hash = lfs ? ({ kind: 'sha256', hex: lfs.oid } as const) : ({ kind: 'git', hex: oid } as const);
      if (type === 'file' && isInside(path) && /^[0-9a-f]+$/.test(hash.hex))
        found.set(path, { path, size, hash });
    }
    const wanted = this.#wanted([...found.keys()]);
    return { commit: sha, files: wanted.map((path) => found.get(path) as RemoteFile) };
  }

  /** @throws HUB_NOT_FOUND naming what there is instead */
  #wanted(paths: readonly string[]): string[] {
    const { file } = this.#options;
    const wanted = file === undefined ? wantedFiles(paths) : ggufFiles(paths, file);
    if (wanted.some((path) => path.endsWith('.safetensors') || isGgufPath(path))) return wanted;
    const others = paths.filter(isGgufPath).slice(0, SHOWN_FILES);
    const beside =
      others.length > 0 ? `, but GGUF files, one of which may be named behind it: ${others.join(', ')}` : '';
    const what = `${file === undefined ? 'safetensors' : describeValue(file)} in it${beside}`;
    throw new AtbError('HUB_NOT_FOUND', { model: this.#given, what });
  }

  async #fetchFile(file: RemoteFile, commit: string, folder: string): Promise<void> {
    const pointer = join(folder, ...file.path.split('/'));
    const blob = join(this.#repo, 'blobs', file.hash.hex);
    await writing('the cache', pointer, () => makeFolder(dirname(pointer)));
    await writing('the cache', blob, () => makeFolder(dirname(blob)));
    if ((await sizeOf(blob)) === file.size) this.#count(file.size);
    else await this.#tries(file, commit, blob);
    if ((await sizeOf(pointer)) !== file.size) await writing('the cache', pointer, () => link(blob, pointer));
  }

  async #tries(file: RemoteFile, commit: string, blob: string): Promise<void> {
    const { hubUrl: endpoint, fetch } = this.#access;
    const { token, signal } = this.#options;
    const source: DownloadSource = { name: this.#name, commit, endpoint, token, fetch };
    for (let attempt = 1; ; attempt++) {
      let counted = 0;
      const onBytes = (count: number, isNew: boolean): void => {
        if (isNew) this.#fetched += count;
        counted += count;
        this.#count(count);
      };
      try {
        await this.#asked(() => download(source, file, blob, onBytes));
        return;
      } catch (error) {
        const isOfNetwork = error instanceof AtbError && error.code === 'HUB_UNREACHABLE';
        if (!isOfNetwork || attempt === TRIES || signal?.aborted) throw error;
        // The next try counts what this one leaves.
        this.#done -= counted;
        await new Promise((resolve) => setTimeout(resolve, FIRST_WAIT_MS * 2 ** (attempt - 1)));
      }
    }
  }

  /** Runs what asks the hub; its failures become errors that name the model and the way out. */
  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof AtbError) throw error;
      if (this.#options.signal?.aborted)
        throw new AtbError('OUTPUT_ABORTED', { file: this.#repo }, { cause: error });
      const model = this.#given;
      if (error instanceof HubApiError && error.statusCode === 404)
        throw new AtbError(
          'HUB_NOT_FOUND',
          { model, what: 'model or revision of that name' },
          { cause: error },
        );
      if (error instanceof HubApiError && [401, 403].includes(error.statusCode))
        throw new AtbError('HUB_REFUSED', { model, status: error.statusCode }, { cause: error });
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new AtbError(
        'HUB_UNREACHABLE',
        { model, endpoint: this.#access.hubUrl, reason },
        { cause: error },
      );
    }
  }

  #count(bytes: number): void {
    this.#done += bytes;
    this.#options.onProgress?.(this.#done, this.#total);
  }

  async #writeRef(revision: string, commit: string): Promise<void> {
    const ref = join(this.#repo, 'refs', ...revision.split('/'));
    const fresh = `${ref}.${process.pid}`;
    await writing('the cache', ref, async () => {
      await makeFolder(dirname(ref));
      await rm(fresh, { force: true });
      await writeSynced(fresh, commit);
      await rename(fresh, ref);
    });
  }
}

/** Snapshots are links into `blobs`, which revisions share; where links cannot be made, the file itself moves. */
async function link(blob: string, pointer: string): Promise<void> {
  await rm(pointer, { force: true });
  try {
    await symlink(relative(dirname(pointer), blob), pointer);
  } catch (error) {
    if (process.platform !== 'win32') throw error;
    await rename(blob, pointer);
  }
}

const pathIn = (folder: string, file: string | undefined): string =>
  file === undefined ? folder : join(folder, ...file.split('/'));

/** Paths come from the hub, and become paths here. */
const isInside = (path: string): boolean =>
  path.split('/').every((step) => step !== '' && step !== '.' && step !== '..' && !/[\\:\0]/.test(step));

const sizeOf = (path: string): Promise<number | undefined> =>
  stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
