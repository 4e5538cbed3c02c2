export interface EmbedOptions {
  /** Which of the model's prompts stands before each text; its default one, mostly none, when absent. */
  readonly promptName?: string | undefined;
  /** A prompt in its place. */
  readonly prompt?: string | undefined;
  /**
   * Numbers of a vector: its first ones, brought back to length 1 where the model's vectors have it. All when absent. A
   * model that was not trained for it (Matryoshka, arXiv:2205.13147) loses much of what it means.
   */
  readonly dimensions?: number | undefined;
  /** Ends the work: the call rejects with REQUEST_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

export interface RerankOptions {
  /** What the documents are wanted for, for models that are asked in words; a web search when absent. */
  readonly instruction?: string | undefined;
  /** Ends the work: the call rejects with REQUEST_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}
