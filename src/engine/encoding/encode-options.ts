export interface EmbedOptions {
  /** Which of the model's prompts stands before each text; its default one, mostly none, when absent. */
  readonly promptName?: string | undefined;
  /** A prompt in its place. */
  readonly prompt?: string | undefined;
  /** Ends the work: the call rejects with REQUEST_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}

export interface RerankOptions {
  /** What the documents are wanted for, for models that are asked in words; a web search when absent. */
  readonly instruction?: string | undefined;
  /** Ends the work: the call rejects with REQUEST_ABORTED. */
  readonly signal?: AbortSignal | undefined;
}
