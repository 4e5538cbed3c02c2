/** Tokens that a tokenizer puts before and behind a text, by their texts and ids. */
export interface EdgeTokens {
  readonly before: readonly EdgeToken[];
  readonly behind: readonly EdgeToken[];
  /** Of the second text of a pair, where they differ: what stands before it, and the type of its tokens. */
  readonly second?: { readonly before: readonly EdgeToken[]; readonly type: 0 | 1 } | undefined;
}

export interface EdgeToken {
  readonly content: string;
  readonly id: number;
}

/** The post-processor of a tokenizer.json that puts them there; null when there are none. */
export function bosEosProcessor({ before, behind, second }: EdgeTokens): object | null {
  if (before.length + behind.length === 0) return null;
  const around = (sequence: 'A' | 'B', ahead: readonly EdgeToken[], type: 0 | 1): object[] => {
    const special = ({ content }: EdgeToken): object => ({ SpecialToken: { id: content, type_id: type } });
    return [...ahead.map(special), { Sequence: { id: sequence, type_id: type } }, ...behind.map(special)];
  };
  return {
    type: 'TemplateProcessing',
    single: around('A', before, 0),
    pair: [...around('A', before, 0), ...around('B', second?.before ?? before, second?.type ?? 0)],
    special_tokens: Object.fromEntries(
      [...before, ...behind].map(({ content, id }) => [
        content,
        { id: content, ids: [id], tokens: [content] },
      ]),
    ),
  };
}
