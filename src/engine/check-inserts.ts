import { refuseRequest } from '../errors.js';
import { endOf, type Insert } from '../media/index.js';
import type { StepRunner } from './llm-engine-options.js';

/**
 * @throws REQUEST_INVALID for inserts that do not follow one another within the prompt, for a model without an encoder,
 * and for more than a model has places for
 */
export function checkInserts(
  inserts: readonly Insert[],
  promptLen: number,
  runner: Pick<StepRunner, 'takesInserts' | 'checkShown'>,
): void {
  if (!Array.isArray(inserts)) refuseRequest('inserts', 'a list', inserts);
  if (inserts.length > 0 && !runner.takesInserts)
    refuseRequest('inserts', 'none: this model reads nothing but text', inserts.length);
  let behind = 0;
  for (const [index, insert] of inserts.entries()) {
    const { start, input } = insert;
    const isPlaced = Number.isSafeInteger(start) && start >= behind && endOf(insert) <= promptLen;
    if (!isPlaced || input.count < 1) {
      const expected = `tokens of the prompt, from ${behind} to below ${promptLen}`;
      refuseRequest(`inserts[${index}]`, expected, `${input.count} from ${start} on`);
    }
    behind = endOf(insert);
  }
  runner.checkShown?.(inserts, promptLen);
}
