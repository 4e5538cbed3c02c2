/**
 * The order in which channels lie group by group, of which each has the group `groupOf[channel]`; channels of a group keep
 * their order. Undefined where that changes nothing. `refuse` is told why there are no such groups of `groupSize` channels.
 */
export function channelOrder(
  groupOf: Int32Array,
  groupSize: number,
  refuse: (problem: string) => never,
): Int32Array | undefined {
  const groups = Math.ceil(groupOf.length / groupSize);
  const sizes = new Int32Array(groups);
  for (const [channel, group] of groupOf.entries()) {
    if (group < 0 || group >= groups)
      refuse(`has group ${group} for channel ${channel}, of ${groups} groups`);
    (sizes[group] as number)++;
  }
  for (const [group, size] of sizes.entries()) {
    const wanted = Math.min(groupSize, groupOf.length - group * groupSize);
    if (size !== wanted) refuse(`has ${size} channels in group ${group}, not ${wanted}`);
  }
  if (groupOf.every((group, channel) => group === Math.floor(channel / groupSize))) return undefined;
  const next = Int32Array.from({ length: groups }, (_, group) => group * groupSize);
  const order = new Int32Array(groupOf.length);
  for (const [channel, group] of groupOf.entries()) {
    order[next[group] as number] = channel;
    (next[group] as number)++;
  }
  return order;
}
