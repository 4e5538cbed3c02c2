import type { Policy } from './policy.js';

/**
 * Clients take turns: each starts a request, then the next client does, however many requests one of them has queued.
 * Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996) with requests of equal weight: a client's next request
 * belongs to the round after its last one, and a client that comes late begins in the present round.
 */
export function roundRobin(): Policy {
  const rounds = new Map<string, number>();
  let present = 0;
  return {
    rank({ client }) {
      const round = Math.max(present, (rounds.get(client) ?? -1) + 1);
      rounds.set(client, round);
      return round;
    },
    onStart(round) {
      if (round <= present) return;
      present = round;
      // Whoever's last round has passed begins in the present one, as a client that nobody knows.
      for (const [client, last] of rounds) if (last < present) rounds.delete(client);
    },
  };
}
