import { Readable } from 'node:stream';
import { atbModels } from '../../src/cli/atb-models.js';
import { reportFailure } from '../../src/cli/failure.js';

/** What a command said, and the status that its process would end with. */
export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * `atb-models` with these arguments and this standard input, in this process: a process of its own takes longer to start
 * than most commands take to run. That the program does the same is seen by tests which start it (e2e/).
 */
export async function runAtbModels(args: readonly string[], input: string | Buffer = ''): Promise<Ended> {
  const stdout = listenTo(process.stdout);
  const stderr = listenTo(process.stderr);
  const stdin = Object.getOwnPropertyDescriptor(process, 'stdin') as PropertyDescriptor;
  const given = Readable.from([Buffer.from(input)]);
  Object.defineProperty(process, 'stdin', { ...stdin, get: () => given });
  const before = process.exitCode;
  process.exitCode = 0;
  try {
    await atbModels(args).catch(reportFailure);
    return { status: Number(process.exitCode), stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    process.exitCode = before;
    Object.defineProperty(process, 'stdin', stdin);
    stdout.end();
    stderr.end();
  }
}

/** Keeps what is written to a stream, as to a pipe, from its place until `end`. */
function listenTo(stream: NodeJS.WriteStream) {
  const { write, isTTY } = stream;
  const heard: string[] = [];
  stream.isTTY = false;
  stream.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    heard.push(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString());
    // A callback stands last, whether or not an encoding comes before it.
    const done = rest.at(-1);
    if (typeof done === 'function') process.nextTick(done);
    return true;
  };
  return {
    text: () => heard.join(''),
    end: () => {
      stream.write = write;
      stream.isTTY = isTTY;
    },
  };
}
