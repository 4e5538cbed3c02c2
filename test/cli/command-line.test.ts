import { homedir } from 'node:os';
import { expect } from 'chai';
import { optionsOf, underscored, usageError } from '../../src/cli/command-line.js';
import { inFlags } from '../../src/cli/failure.js';
import type { FlagName } from '../../src/cli/flags.js';
import { generateCommand } from '../../src/cli/generate.js';
import { graphCommand } from '../../src/cli/graph.js';
import { AtbError } from '../../src/errors.js';
import { failure } from '../weights/safetensors-writer.js';

describe('what commands refuse before they read a model', () => {
  it('is numbers beyond what the engine counts, and addresses that no browser sends', async () => {
    const beyond: readonly (readonly [FlagName, unknown])[] = [
      ['port', 99_999],
      ['port', 0.5],
      ['drain_timeout', -1],
      ['request_timeout', 1e12],
      ['threads', 1025],
      ['max_tokens', 1e12],
      ['tolerance', -1],
      ['allowed_local_media_path', '/absent'],
      ['allow_origin', ['nonsense']],
      ['allow_origin', ['https://a.example/page']],
    ];
    for (const [flag, value] of beyond) {
      const { message } = await failure('REQUEST_INVALID', () => optionsOf({ [flag]: value }, [flag]));
      expect(message).to.contain(`--${flag} must be`);
    }
    const allowed = ['*', 'https://a.example', 'http://localhost:3000'];
    expect(optionsOf({ allow_origin: allowed }, ['allow_origin']).allowedOrigins).to.deep.equal(allowed);
  });

  it('is a schema that is neither a file nor JSON, and a graph that is flat and no JSON', async () => {
    const run = async (command: typeof generateCommand | typeof graphCommand, argv: object) =>
      (await failure('REQUEST_INVALID', async () => command.handler({ _: [], $0: '', ...argv }))).message;
    const schema = { model_path: 'x', prompts: ['y'], json_schema: '/absent.json' };
    expect(await run(generateCommand, schema)).to.contain('--json_schema must be an existing file, or JSON');
    const flat = { model_path: import.meta.dirname, phase: 'decode', flat: true };
    expect(await run(graphCommand, flat)).to.contain('--flat must be used together with --format json');
  });
});

describe('a path that begins with ~', () => {
  it('is below the home folder where no shell has looked at it', () => {
    const home = homedir();
    expect(underscored(['--model-path=~/a', '--weights_cache', '~/b', '--model_dirs', '~'])).to.deep.equal([
      `--model_path=${home}/a`,
      ...['--weights_cache', `${home}/b`, '--model_dirs', home],
    ]);
    const texts = ['--system=~/a', '~/prompt', '--model_path', '~other/a'];
    expect(underscored(texts)).to.deep.equal(texts);
  });
});

describe('what commands say of a failure', () => {
  it('is the name of the flag, where the library names an option', () => {
    const said = (field: string, found?: unknown) =>
      inFlags(new AtbError('REQUEST_INVALID', { field, expected: 'else', found }));
    expect(said('topK', 1.5)).to.equal('REQUEST_INVALID: --top_k must be else, found 1.5');
    expect(said('stop[0]', '')).to.equal('REQUEST_INVALID: --stop[0] must be else, found ""');
    // Another program's flag is called as the option is.
    expect(said('memoryBudget')).to.contain(' --memory must');
    expect(said('context')).to.contain(' --context must');
    expect(said('maxBodyBytes')).to.contain(' --max_body must');
    expect(said('messages[0].content')).to.equal(
      'REQUEST_INVALID: messages[0].content must be else, found nothing',
    );
  });

  it('is how many arguments are missing', () => {
    const yargs = 'Not enough non-option arguments: got 1, need at least 2';
    expect(usageError(yargs, undefined, 'atb-models quantize --help').message).to.equal(
      'REQUEST_INVALID: what stands beside the flags must be 2 arguments, as `atb-models quantize --help` lists them, found 1',
    );
  });
});
