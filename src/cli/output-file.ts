import { accessSync, appendFileSync, constants, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
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

  /** Makes or replaces the file, as a whole: no reader sees half of it. @throws OUTPUT_UNWRITABLE */
  write(text: string): void {
    this.#attempt(() => {
      // Devices and pipes (`/dev/stdout`) are written to, not replaced.
      if (!(statSync(this.path, { throwIfNoEntry: false })?.isFile() ?? true))
        return writeFileSync(this.path, text);
      const unfinished = `${this.path}.${process.pid}.tmp`;
      try {
        writeFileSync(unfinished, text);
        renameSync(unfinished, this.path);
      } finally {
        rmSync(unfinished, { force: true });
      }
    });
  }

  /** @throws OUTPUT_UNWRITABLE */
  append(text: string): void {
    this.#attempt(() => appendFileSync(this.path, text));
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
