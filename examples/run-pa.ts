import {
  appendPerfCsv,
  loadProgress,
  logPlan,
  parseRunPaArguments,
  printResult,
  reportFailure,
  resultToJson,
  runPaHelp,
  saveProfile,
} from '../src/cli/index.js';
import { PARunner } from '../src/index.js';

/** Generates text from a Hugging Face checkpoint: `npm run -s run-pa -- --model_path DIR --input_texts "…"`. */
async function main(): Promise<void> {
  const args = await parseRunPaArguments();
  if (args === undefined) {
    process.stdout.write(runPaHelp());
    return;
  }
  const runner = await PARunner.load({
    ...args.runner,
    onProgress: loadProgress(process.stderr),
    onWarning: (text) => console.error(`warning: ${text}`),
    ...(args.profile && { onPlan: logPlan(process.stderr) }),
  });
  try {
    await runner.warmUp();
    const result = await runner.infer(args.inputs, args.sampling, {
      isChatModel: args.isChatModel,
      chatTemplateKwargs: args.chatTemplateKwargs,
      ...(args.stream && { onText: (_index: number, text: string) => process.stdout.write(text) }),
    });
    if (args.stream) process.stdout.write('\n\n');
    if (args.json) process.stdout.write(`${resultToJson(result)}\n`);
    else printResult(result, (text) => process.stdout.write(text));
    if (args.profile) await saveProfile(runner, args.profile);
    if (args.perfCsv) appendPerfCsv(args.perfCsv, result, runner.limits.maxOutputLength);
    // A prompt that failed stands beside the answers of the others; the command has failed all the same.
    for (const { error } of result.answers) if (error) throw error;
  } finally {
    await runner.dispose();
  }
}

await main().catch(reportFailure);
