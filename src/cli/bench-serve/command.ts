import { AtbError, refuseRequest } from '../../errors.js';
import type { Command } from '../command.js';
import { declareFlags, optionsOf } from '../command-line.js';
import { apiKeyOfEnvironment } from '../environment.js';
import { isLoopback } from '../loopback.js';
import { OutputFile } from '../output-file.js';
import { countProgress } from '../progress.js';
import { loadChart } from './load-chart.js';
import { loadReport, loadTable } from './load-report.js';
import { runLoad } from './run-load.js';
import type { Target } from './stream-request.js';
import { planWorkload } from './workload.js';

const FLAGS = [
  ...(['base_url', 'requests', 'rate', 'prompt_len', 'output_len', 'shared_prefix'] as const),
  ...(['is_chat_model', 'seed', 'api_key', 'request_timeout', 'json', 'svg'] as const),
] as const;

/** Long enough for answers that wait behind many others. */
const DEFAULT_TIMEOUT_S = 600;

/** @throws REQUEST_INVALID for what is no address of this machine: a load is not for others' machines */
function baseUrlOf(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const host = url?.hostname.replace(/^\[(.*)\]$/, '$1') ?? '';
  if (!/^https?:$/.test(url?.protocol ?? '') || !isLoopback(host))
    refuseRequest('--base_url', 'an address on this machine, as http://127.0.0.1:8000/v1', given);
  return given.replace(/\/+$/, '');
}

/** The first model that the server lists. @throws SERVER_UNREACHABLE */
async function firstModel(baseUrl: string, apiKey: string | undefined): Promise<string> {
  try {
    const headers = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
    const response = await fetch(`${baseUrl}/models`, { headers, signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const { data } = (await response.json()) as { data?: readonly { id?: string }[] };
    const id = data?.[0]?.id;
    if (id === undefined) throw new Error('no model is listed');
    return id;
  } catch (cause) {
    const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
    const reason = inner instanceof Error ? inner.message : String(inner);
    throw new AtbError('SERVER_UNREACHABLE', { address: `${baseUrl}/models`, reason }, { cause });
  }
}

/** `atb-models bench-serve`: how a server of OpenAI's API bears a load. Ends with 1 when no answer came to its end. */
export const benchServeCommand: Command<{ readonly model: string | undefined }> = {
  builder: (argv) =>
    declareFlags(
      argv.option('model', {
        type: 'string',
        group: 'Load:',
        requiresArg: true,
        describe: 'the name to ask for (the first that the server lists)',
      }),
      {
        command: 'atb-models bench-serve',
        example: '--base_url http://127.0.0.1:8000/v1 --requests 64 --rate 4 --svg load.svg',
        flags: FLAGS,
        alsoKnown: ['model'],
      },
    ),
  async handler(argv) {
    const {
      json,
      svg,
      baseUrl: given,
      isChatModel,
      apiKeys,
      requestTimeoutS,
      ...workload
    } = optionsOf(argv, FLAGS);
    const chart = svg === undefined ? undefined : new OutputFile('--svg', svg);
    const baseUrl = baseUrlOf(given);
    const [apiKey] = apiKeys ?? apiKeyOfEnvironment();
    const model = argv.model ?? (await firstModel(baseUrl, apiKey));
    const timeoutMs = 1000 * (requestTimeoutS ?? DEFAULT_TIMEOUT_S);
    const target: Target = { baseUrl, model, isChat: isChatModel, apiKey, timeoutMs };
    const run = await runLoad(
      target,
      planWorkload({ seed: 0, ...workload }),
      countProgress(process.stderr, 'answers'),
    );
    const report = loadReport(model, run);
    process.stdout.write(
      json ? `${JSON.stringify({ ...report, records: run.records }, undefined, 2)}\n` : loadTable(report),
    );
    chart?.write(loadChart(report, run));
    if (report.succeeded === 0) process.exitCode = 1;
  },
};
