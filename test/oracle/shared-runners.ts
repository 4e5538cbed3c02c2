import type { ModelRunner } from '../../src/runner/model-runner.js';

/**
 * Runners for the tests of one case, one for each setting, loaded when it is asked for: to build and fuse the graphs of
 * such small models takes longer than to run them.
 */
export class SharedRunners<Setting> {
  readonly #load: (setting: Setting) => Promise<ModelRunner>;
  readonly #runners = new Map<string, Promise<ModelRunner>>();

  constructor(load: (setting: Setting) => Promise<ModelRunner>) {
    this.#load = load;
  }

  get(setting: Setting): Promise<ModelRunner> {
    const key = JSON.stringify(setting);
    const runner = this.#runners.get(key) ?? this.#load(setting);
    this.#runners.set(key, runner);
    return runner;
  }

  /** Of all; those that failed to load have failed a test. */
  async dispose(): Promise<void> {
    for (const runner of await Promise.allSettled(this.#runners.values()))
      if (runner.status === 'fulfilled') runner.value.dispose();
    this.#runners.clear();
  }
}
