import { SingleBar } from 'cli-progress';
import { isInteractive } from './environment.js';

type Progress = (done: number, total: number) => void;

/** Draws a bar while weights load, on a terminal; elsewhere it draws nothing. */
export function loadProgress(stream: NodeJS.WriteStream): Progress {
  return isInteractive(stream) ? bytesBar(stream, 'loading') : () => {};
}

/** Of work that may take minutes: a bar on a terminal, a line for each tenth elsewhere. */
export function longProgress(stream: NodeJS.WriteStream, what: string): Progress {
  if (isInteractive(stream)) return bytesBar(stream, what);
  let tenths = 0;
  return (done, total) => {
    const now = total > 0 ? Math.floor((10 * done) / total) : 10;
    if (now > tenths) stream.write(`${what}: ${10 * now} % of ${(total / 2 ** 20).toFixed(1)} MiB\n`);
    tenths = Math.max(tenths, now);
  };
}

/** Of things that are counted: a bar on a terminal; elsewhere nothing. */
export function countProgress(stream: NodeJS.WriteStream, what: string): Progress {
  return isInteractive(stream) ? bar(stream, `${what} [{bar}] {value}/{total}`, 1) : () => {};
}

function bytesBar(stream: NodeJS.WriteStream, what: string): Progress {
  return bar(stream, `${what} [{bar}] {value}/{total} MiB`, 2 ** 20);
}

function bar(stream: NodeJS.WriteStream, format: string, unit: number): Progress {
  let drawn: SingleBar | undefined;
  return (done, total) => {
    if (!drawn) {
      drawn = new SingleBar({ format, stream, clearOnComplete: true, hideCursor: true });
      drawn.start(Math.ceil(total / unit), 0);
    }
    drawn.update(Math.floor(done / unit));
    if (done >= total) drawn.stop();
  };
}
