import { isIP } from 'node:net';

/** Whether only this machine is there. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || (isIP(host) === 4 ? host.startsWith('127.') : host === '::1');
}
