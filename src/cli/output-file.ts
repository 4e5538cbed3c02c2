import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { AtbError } from '../errors.js';

/** A file that a command writes when its work is done, under the flag that names it. */
export class OutputFile {
  /** Finds out now, not after all work, that the file cannot be written. @throws OUTPUT_UNWRITABLE */
  constructor(
    readonly flag: string,
    readonly path: string,
  ) {
    this.#attempt(() => {
      if (path === '') throw new Error('it has no name');
      const found = statSync(path, { throwIfNoEntry: false });
      if (found?.isDirectory()) throw new Error('it is a folder');
      accessSync(found ? path : dirname(resolve(path)), constants.W_OK);
    });
  }

  /** Its length; 0 when there is none yet. */
  get bytes(): number {
    return statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
  }

  /**
   * Makes or replaces the file, as a whole: readers see the old text or the new one, also after a crash.
   * @throws OUTPUT_UNWRITABLE
   */
  write(text: string): void {
    this.#attempt(() => {
      // Devices and pipes (`/dev/stdout`) are written to, not replaced.
      const found = statSync(this.path, { throwIfNoEntry: false });
      if (found && !found.isFile()) return writeFileSync(this.path, text);
      // A link stays a link: what it points to is replaced.
      const target = found ? realpathSync(this.path) : this.path;
      const unfinished = `${target}.${process.pid}.tmp`;
      try {
        withFile(unfinished, 'w', found?.mode, (file) => {
          writeFileSync(file, text);
          fsyncSync(file);
        });
        renameSync(unfinished, target);
      } finally {
        rmSync(unfinished, { force: true });
      }
    });
  }

  /** Appends the text, whole or not at all. @throws OUTPUT_UNWRITABLE */
  append(text: string): void {
    this.#attempt(() =>
      withFile(this.path, 'a', undefined, (file) => {
        const before = fstatSync(file);
        try {
          writeFileSync(file, text);
          if (before.isFile()) fsyncSync(file);
        } catch (error) {
          if (before.isFile()) ftruncateSync(file, before.size);
          throw error;
        }
      }),
    );
  }

  #attempt(step: () => void): void {
    try {
      step();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new AtbError('OUTPUT_UNWRITABLE', { flag: this.flag, file: this.path, reason }, { cause });
    }
  }
}

function withFile(path: string, flags: string, mode: number | undefined, use: (file: number) => void): void {
  const file = openSync(path, flags, mode);
  try {
    use(file);
  } finally {
    closeSync(file);
  }
}
