import { connect } from 'node:net';

/** Sends bytes as they are and returns all that comes back before the connection ends, or for so long. */
export function rawRequest(port: number, bytes: string, forMs = 3000): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(received);
    };
    const timer = setTimeout(end, forMs);
    socket.on('data', (data) => {
      received += data.toString();
    });
    socket.on('close', end).on('error', end);
  });
}
