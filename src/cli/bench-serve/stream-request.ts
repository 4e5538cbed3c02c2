import type { PlannedRequest } from './workload.js';

/** Whom requests go to, and how. */
export interface Target {
  /** With the version: `http://127.0.0.1:8000/v1`. */
  readonly baseUrl: string;
  readonly model: string;
  /** Messages to /chat/completions instead of texts to /completions. */
  readonly isChat: boolean;
  readonly apiKey: string | undefined;
  readonly timeoutMs: number;
}

/** One request as it went. Times are milliseconds. */
export interface RequestRecord {
  /** From the start of the run to when it was sent. */
  readonly sentMs: number;
  /** From when it was sent to its first text. */
  readonly ttftMs: number | undefined;
  /** Between one piece of text and the next. */
  readonly gapsMs: readonly number[];
  /** To the end of the answer, or to the failure. */
  readonly totalMs: number;
  readonly promptTokens: number;
  /** As the server counts them; pieces of text where it does not. */
  readonly outputTokens: number;
  /** `HTTP 400 (context_length_exceeded)`, or what went wrong otherwise; undefined for an answer that came to its end. */
  readonly failure: string | undefined;
}

interface Event {
  readonly choices?: readonly {
    readonly text?: string;
    readonly delta?: { readonly content?: string | null; readonly reasoning_content?: string | null };
  }[];
  readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null;
  readonly error?: { readonly message?: string };
}

/** Sends a request and reads its stream to the end; what goes wrong is part of the record. */
export async function streamRequest(
  target: Target,
  { prompt, maxTokens }: PlannedRequest,
  startMs: number,
): Promise<RequestRecord> {
  const sent = performance.now();
  const times: number[] = [];
  let usage: Event['usage'];
  let failure: string | undefined;
  try {
    for await (const event of events(target, prompt, maxTokens)) {
      if (event.error) throw new Error(event.error.message ?? 'an error in the stream');
      if (hasText(event)) times.push(performance.now());
      usage = event.usage ?? usage;
    }
    if (times.length === 0) failure = 'an answer without text';
  } catch (error) {
    failure = reasonOf(error);
  }
  const [first] = times;
  return {
    sentMs: sent - startMs,
    ttftMs: first === undefined ? undefined : first - sent,
    gapsMs: times.slice(1).map((time, index) => time - (times[index] ?? time)),
    totalMs: performance.now() - sent,
    promptTokens: usage?.prompt_tokens ?? 0,
    outputTokens: usage?.completion_tokens ?? times.length,
    failure,
  };
}

function hasText({ choices = [] }: Event): boolean {
  return choices.some(({ text, delta }) => Boolean(text || delta?.content || delta?.reasoning_content));
}

/** What a server says beside the status, by its code: answers that differ in a number alone are counted as one. */
async function reasonIn(response: Response): Promise<string> {
  const said = (await response.json().catch(() => undefined)) as { error?: { code?: unknown } } | undefined;
  const code = said?.error?.code;
  return typeof code === 'string' && code !== '' ? ` (${code.slice(0, 64)})` : '';
}

/** A failed fetch says why in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return 'timed out';
  return error.cause instanceof Error ? error.cause.message : error.message;
}

/** The events of one answer (https://html.spec.whatwg.org/multipage/server-sent-events.html), up to `[DONE]`. */
async function* events(target: Target, prompt: string, maxTokens: number): AsyncGenerator<Event> {
  const { baseUrl, model, isChat, apiKey, timeoutMs } = target;
  const body = {
    model,
    ...(isChat ? { messages: [{ role: 'user', content: prompt }] } : { prompt }),
    max_tokens: maxTokens,
    // Asked of servers that know it: answers are as long as they were planned.
    ignore_eos: true,
    temperature: 0,
    stream: true,
    stream_options: { include_usage: true },
  };
  const response = await fetch(`${baseUrl}/${isChat ? 'chat/completions' : 'completions'}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (!response.ok || response.body === null) {
    throw new Error(`HTTP ${response.status}${await reasonIn(response)}`);
  }
  const decoder = new TextDecoder();
  let waiting = '';
  for await (const bytes of response.body) {
    waiting += decoder.decode(bytes, { stream: true });
    const lines = waiting.split(/\r?\n/);
    waiting = lines.pop() ?? '';
    for (const line of lines) {
      if (!line.startsWith('data:')) continue;
      const data = line.slice('data:'.length).trim();
      if (data === '[DONE]') return;
      yield JSON.parse(data) as Event;
    }
  }
  throw new Error('the stream ended before [DONE]');
}
