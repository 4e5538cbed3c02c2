import { refuseRequest } from './errors.js';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

/** "2GiB", "512MB", "1000000" → bytes; a number is taken as it is. @throws REQUEST_INVALID by the field's name */
export function parseBytes(field: string, given: string | number): number {
  const [, amount, unit = ''] = /^\s*(\d+(?:\.\d+)?)\s*([kmg]i?)?b?\s*$/i.exec(String(given)) ?? [];
  if (amount === undefined) return refuseRequest(field, 'bytes such as 2GiB or 512MB', given);
  return Math.floor(Number(amount) * (UNITS[unit.toLowerCase()] as number));
}
