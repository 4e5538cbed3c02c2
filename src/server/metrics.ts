import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Generation } from '../engine/generation.js';
import type { LLM } from '../engine/llm.js';
import type { Served, ServedModel } from './served-model.js';

const LATENCY_BUCKETS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.5, 5, 10, 20, 40, 80,
];

/** Lengths of prompts and answers, as vLLM has them for contexts of 128 Ki. */
const LENGTH_BUCKETS = [1, 10, 100, 1000, 10_000, 100_000]
  .flatMap((unit) => [unit, 2 * unit, 5 * unit])
  .slice(0, -2);

/** Figures for Prometheus under vLLM's names, so that dashboards and gateways which know those work. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #promptTokens = this.#counter('vllm:prompt_tokens_total', 'Tokens of prompts');
  readonly #generationTokens = this.#counter('vllm:generation_tokens_total', 'Generated tokens');
  readonly #finished = this.#counter('vllm:request_success_total', 'Finished answers', 'finished_reason');
  readonly #failed = this.#counter('vllm:request_failure_total', 'Answers that failed or were aborted');
  readonly #firstToken = this.#histogram('vllm:time_to_first_token_seconds', 'Time to the first token');
  /** vLLM's newer name for it, and its older one. */
  readonly #betweenTokens = ['vllm:inter_token_latency_seconds', 'vllm:time_per_output_token_seconds'].map(
    (name) => this.#histogram(name, 'Time between tokens, of an answer on average'),
  );
  readonly #whole = this.#histogram('vllm:e2e_request_latency_seconds', 'Time of a whole answer');
  readonly #promptLen = this.#histogram('vllm:request_prompt_tokens', 'Tokens of a prompt', LENGTH_BUCKETS);
  readonly #answerLen = this.#histogram(
    'vllm:request_generation_tokens',
    'Tokens of an answer',
    LENGTH_BUCKETS,
  );
  /** Counts what has come of an answer since it was last asked; one for each that runs. */
  readonly #running = new Set<() => void>();

  /** Calls of models that embed or rank, by name. */
  readonly #encoding = new Map<string, number>();

  constructor(models: Iterable<Served>) {
    const served = [...models];
    const encoding = this.#encoding;
    const writers = served.filter((model): model is ServedModel => model.use === 'generate');
    const registers = [this.#registry];
    const figure =
      (Kind: typeof Gauge | typeof Counter) =>
      <M extends Served>(
        name: string,
        help: string,
        models: readonly M[],
        read: (model: M) => number,
      ): void => {
        new Kind({
          ...{ name, help, labelNames: ['model_name'], registers },
          collect(): void {
            this.reset();
            for (const model of models) this.inc({ model_name: model.name }, read(model));
          },
        });
      };
    const [gauge, counter] = [figure(Gauge), figure(Counter)];
    gauge('vllm:num_requests_running', 'Sequences, or calls of an encoder, that run', served, (model) =>
      model.use === 'generate' ? model.llm.stats.running : (encoding.get(model.name) ?? 0),
    );
    const ofWriters = (
      kind: typeof gauge,
      name: string,
      help: string,
      read: (stats: LLM['stats']) => number,
    ): void => kind(name, help, writers, ({ llm }) => read(llm.stats));
    ofWriters(gauge, 'vllm:num_requests_waiting', 'Sequences that wait', ({ waiting }) => waiting);
    ofWriters(gauge, 'vllm:kv_cache_usage_perc', 'Share of the cache in use', ({ usedBlocks, freeBlocks }) =>
      usedBlocks + freeBlocks === 0 ? 0 : usedBlocks / (usedBlocks + freeBlocks),
    );
    ofWriters(counter, 'vllm:num_preemptions_total', 'Preemptions so far', ({ preemptions }) => preemptions);
    ofWriters(
      counter,
      'vllm:prefix_cache_queries_total',
      'Tokens looked for in the cache',
      ({ prefixQueriedTokens }) => prefixQueriedTokens,
    );
    ofWriters(
      counter,
      'vllm:prefix_cache_hits_total',
      'Tokens found in the cache',
      ({ prefixHitTokens }) => prefixHitTokens,
    );
    ofWriters(
      counter,
      'vllm:spec_decode_num_draft_tokens_total',
      'Tokens guessed ahead',
      ({ draftedTokens }) => draftedTokens,
    );
    ofWriters(
      counter,
      'vllm:spec_decode_num_accepted_tokens_total',
      'Tokens guessed right',
      ({ acceptedTokens }) => acceptedTokens,
    );
    ofWriters(
      gauge,
      'atb:spec_decode_speed_up',
      'How many times faster sequences decode than without guesses',
      ({ draftSpeedUp }) => draftSpeedUp,
    );
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    for (const count of this.#running) count();
    return this.#registry.metrics();
  }

  /** Takes the figures of an answer when it has ended, and counts its tokens while it runs. */
  watch(model: string, generation: Generation): void {
    const labels = { model_name: model };
    const started = performance.now();
    let counted = 0;
    const count = (): void => {
      const { length } = generation.soFar.tokens;
      this.#generationTokens.inc(labels, length - counted);
      counted = length;
    };
    const end = (): void => {
      count();
      this.#running.delete(count);
    };
    this.#running.add(count);
    generation.result.then(
      ({ promptTokens, tokens, ttftMs, finishReason }) => {
        const totalMs = performance.now() - started;
        end();
        this.#promptTokens.inc(labels, promptTokens);
        this.#promptLen.observe(labels, promptTokens);
        this.#answerLen.observe(labels, tokens.length);
        this.#finished.inc({ ...labels, finished_reason: finishReason });
        this.#firstToken.observe(labels, ttftMs / 1000);
        this.#whole.observe(labels, totalMs / 1000);
        if (tokens.length > 1)
          for (const histogram of this.#betweenTokens)
            histogram.observe(labels, (totalMs - ttftMs) / (tokens.length - 1) / 1000);
      },
      () => {
        end();
        this.#failed.inc(labels);
      },
    );
  }

  /** Takes the figures of a call of a model that embeds or ranks. */
  async measure<T extends readonly { readonly tokens: number }[]>(
    name: string,
    call: Promise<T>,
  ): Promise<T> {
    const labels = { model_name: name };
    const started = performance.now();
    const count = (more: number): Map<string, number> =>
      this.#encoding.set(name, (this.#encoding.get(name) ?? 0) + more);
    count(1);
    try {
      const texts = await call;
      for (const { tokens } of texts) this.#promptTokens.inc(labels, tokens);
      this.#finished.inc({ ...labels, finished_reason: 'stop' });
      this.#whole.observe(labels, (performance.now() - started) / 1000);
      return texts;
    } catch (error) {
      this.#failed.inc(labels);
      throw error;
    } finally {
      count(-1);
    }
  }

  #counter(name: string, help: string, ...labels: string[]): Counter {
    return new Counter({ name, help, labelNames: ['model_name', ...labels], registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets = LATENCY_BUCKETS): Histogram {
    const [labelNames, registers] = [['model_name'], [this.#registry]];
    return new Histogram({ name, help, labelNames, registers, buckets });
  }
}
