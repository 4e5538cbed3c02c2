import { SingleBar } from 'cli-progress';
import { isInteractive } from './environment.js';

type Progress = (doneBytes: number, totalBytes: number) => void;

/** Draws a bar while weights load, on a terminal; elsewhere it draws nothing. */
export function loadProgress(stream: NodeJS.WriteStream): Progress {
  return isInteractive(stream) ? bar(stream, 'loading') : () => {};
}

/** Of work that may take minutes: a bar on a terminal, a line for each tenth elsewhere. */
export function longProgress(stream: NodeJS.WriteStream, what: string): Progress {
  if (isInteractive(stream)) return bar(stream, what);
  let tenths = 0;
  return (done, total) => {
    const now = total > 0 ? Math.floor((10 * done) / total) : 10;
    if (now > tenths) stream.write(`${what}: ${10 * now} % of ${(total / 2 ** 20).toFixed(1)} MiB\n`);
    tenths = Math.max(tenths, now);
  };
}

function bar(stream: NodeJS.WriteStream, what: string): Progress {
  let drawn: SingleBar | undefined;
  return (done, total) => {
    if (!drawn) {
      drawn = new SingleBar({
        format: `${what} [{bar}] {value}/{total} MiB`,
        stream,
        clearOnComplete: true,
        hideCursor: true,
      });
      drawn.start(Math.ceil(total / 2 ** 20), 0);
    }
    drawn.update(Math.floor(done / 2 ** 20));
    if (done >= total) drawn.stop();
  };
}
