/** What several streams yield, as it comes, each with the number of its stream. Ends when all have; fails with the first. */
export async function* mergeStreams<T>(
  streams: readonly AsyncIterable<T>[],
): AsyncGenerator<readonly [index: number, value: T], void, void> {
  const iterators = streams.map((stream) => stream[Symbol.asyncIterator]());
  type Step = { readonly index: number; readonly result: IteratorResult<T> };
  const next = (index: number): Promise<Step> =>
    (iterators[index] as AsyncIterator<T>).next().then((result) => ({ index, result }));
  const pending = new Map(iterators.map((_, index) => [index, next(index)] as const));
  try {
    while (pending.size > 0) {
      const { index, result } = await Promise.race(pending.values());
      if (result.done) {
        pending.delete(index);
        continue;
      }
      pending.set(index, next(index));
      yield [index, result.value];
    }
  } finally {
    for (const promise of pending.values()) promise.catch(() => {});
    await Promise.allSettled(iterators.map((iterator) => iterator.return?.()));
  }
}
