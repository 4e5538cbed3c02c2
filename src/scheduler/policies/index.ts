import { fcfs } from './fcfs.js';
import type { Policy } from './policy.js';
import { priority } from './priority.js';
import { roundRobin } from './round-robin.js';
import { sjf } from './sjf.js';

export type { Policy };

const POLICIES = { fcfs, priority, sjf, round_robin: roundRobin } as const;

export type PolicyName = keyof typeof POLICIES;

export const POLICY_NAMES = Object.keys(POLICIES) as readonly PolicyName[];

export function policyOf(name: PolicyName): Policy {
  return POLICIES[name]();
}
