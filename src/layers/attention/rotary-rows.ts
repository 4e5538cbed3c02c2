/** The rows of a rotary embedding's tables for the tokens of a step, by their names in the graph: [tokens, headDim]. */
export interface RotaryRows {
  readonly cos: string;
  readonly sin: string;
}

/** What `buildPositionalEmbeddingGraph` of a model gives its layers. */
export const ROTARY_ROWS: RotaryRows = { cos: 'cos_embedding', sin: 'sin_embedding' };

/** The same for layers with a window, where these have a rotary embedding of their own. */
export const SLIDING_ROTARY_ROWS: RotaryRows = { cos: 'sliding_cos_embedding', sin: 'sliding_sin_embedding' };
