import { expect } from 'chai';
import { Admission } from '../../src/server/admission.js';
import { HttpError } from '../../src/server/http-error.js';
import { type Served, serveTiny } from './served.js';

/** Two of them wait for each other in each step, which takes long where other programs have the cores. */
const ONE_THREAD = { threads: 1, maxNumSeqs: 2 };

describe('the room of a server', () => {
  const refuses = (enter: () => unknown): boolean => {
    try {
      enter();
      return false;
    } catch (error) {
      if (error instanceof HttpError && error.status === 429) return true;
      throw error;
    }
  };

  it('is all of one tenant as long as nobody else is there', () => {
    const admission = new Admission(8);
    for (let i = 0; i < 8; i++) admission.enter(1, 'a');
    expect(refuses(() => admission.enter(1, 'a'))).to.equal(true);
  });

  it('has a part for each of those who come, whoever has filled it', () => {
    const admission = new Admission(8);
    const leave = Array.from({ length: 8 }, () => admission.enter(1, 'greedy'));
    const second = admission.enter(4, 'second');
    expect(refuses(() => admission.enter(1, 'second'))).to.equal(true);
    expect(refuses(() => admission.enter(1, 'greedy'))).to.equal(true);
    admission.enter(2, 'third');
    expect(refuses(() => admission.enter(1, 'third'))).to.equal(true);
    expect(admission.inside).to.equal(14);
    second();
    second();
    for (const one of leave) one();
    expect(admission.inside).to.equal(2);
    for (let i = 0; i < 6; i++) admission.enter(1, 'third');
    expect(refuses(() => admission.enter(1, 'third'))).to.equal(true);
  });
});

describe('clients of a server', function () {
  this.timeout(120_000);
  let served: Served;
  afterEach(() => served.stop());

  /**
   * The order in which answers come, by who asked for them. Nothing is computed before all have asked, in the order in which
   * they stand: however busy the machine is, the first asks for all of his before the others.
   */
  async function orderOf(
    asked: readonly (readonly [headers: Record<string, string>, body: object])[],
  ): Promise<number[]> {
    const { llm } = served;
    const order: number[] = [];
    const run = llm.runner.run.bind(llm.runner);
    let open = (): void => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    llm.runner.run = async (...step) => {
      await opened;
      return run(...step);
    };
    const answers: Promise<void>[] = [];
    for (const [index, [headers, body]] of asked.entries()) {
      const ask = async (): Promise<void> => {
        const answer = await fetch(`${served.address}/v1/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: JSON.stringify({ prompt: 'Once', max_tokens: 8, ignore_eos: true, ...body }),
        });
        await answer.text();
        order.push(answer.status === 200 ? index : -1);
      };
      answers.push(ask());
      while (llm.stats.waiting + llm.stats.running + order.length <= index)
        await new Promise((resolve) => setTimeout(resolve, 2));
    }
    open();
    await Promise.all(answers);
    return order;
  }

  it('with keys of their own get in, and go first, when another one has filled it', async () => {
    served = await serveTiny({ apiKeys: ['a', 'b'], maxWaiting: 14 }, ONE_THREAD);
    const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
    const greedy = Array.from({ length: 16 }, () => [bearer('a'), {}] as const);
    const order = await orderOf([...greedy, [bearer('b'), {}], [bearer('b'), {}]]);
    expect(order).to.not.include(-1);
    expect(Math.max(order.indexOf(16), order.indexOf(17))).to.be.below(10);
  });

  it('are told apart by the user that they name where there is one key or none', async () => {
    served = await serveTiny({ maxWaiting: 30 }, ONE_THREAD);
    const order = await orderOf([
      ...Array.from({ length: 20 }, () => [{}, { user: 'greedy' }] as const),
      ...Array.from({ length: 2 }, () => [{}, { metadata: { user_id: 'modest' } }] as const),
    ]);
    expect(Math.max(order.indexOf(20), order.indexOf(21))).to.be.below(12);
  });
});
