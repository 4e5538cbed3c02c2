/** Tokens that a tokenizer puts before and behind a text, by their texts and ids. */
export interface EdgeTokens {
  readonly before: readonly EdgeToken[];
  readonly behind: readonly EdgeToken[];
}

export interface EdgeToken {
  readonly content: string;
  readonly id: number;
}

/** The post-processor of a tokenizer.json that puts them there; null when there are none. */
export function bosEosProcessor({ before, behind }: EdgeTokens): object | null {
  if (before.length + behind.length === 0) return null;
  const special = ({ content }: EdgeToken): object => ({ SpecialToken: { id: content, type_id: 0 } });
  const around = (sequence: 'A' | 'B'): object[] => [
    ...before.map(special),
    { Sequence: { id: sequence, type_id: 0 } },
    ...behind.map(special),
  ];
  return {
    type: 'TemplateProcessing',
    single: around('A'),
    pair: [...around('A'), ...around('B')],
    special_tokens: Object.fromEntries(
      [...before, ...behind].map(({ content, id }) => [
        content,
        { id: content, ids: [id], tokens: [content] },
      ]),
    ),
  };
}
