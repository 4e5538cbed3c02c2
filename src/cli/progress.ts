import { SingleBar } from 'cli-progress';
import { isInteractive } from './environment.js';

/** Draws a bar while weights load, on a terminal; elsewhere it draws nothing. */
export function loadProgress(stream: NodeJS.WriteStream): (loadedBytes: number, totalBytes: number) => void {
  if (!isInteractive(stream)) return () => {};
  let bar: SingleBar | undefined;
  return (loadedBytes, totalBytes) => {
    if (!bar) {
      bar = new SingleBar({
        format: 'loading [{bar}] {value}/{total} MiB',
        stream,
        clearOnComplete: true,
        hideCursor: true,
      });
      bar.start(Math.ceil(totalBytes / 2 ** 20), 0);
    }
    bar.update(Math.floor(loadedBytes / 2 ** 20));
    if (loadedBytes >= totalBytes) bar.stop();
  };
}
