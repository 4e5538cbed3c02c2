import {
  AnswerPrinter,
  appendPerfCsv,
  endWithReader,
  loadProgress,
  logPlan,
  metricsTable,
  parseRunPaArguments,
  printAnswers,
  printEmbeddings,
  profileTable,
  reportFailure,
  resultToJson,
  saveProfile,
} from '../src/cli/index.js';
// Not by way of index.js, which reads all families: a start would take half as long again.
import { PARunner } from '../src/engine/pa-runner.js';

/** Generates text from a Hugging Face checkpoint: `npm run -s run-pa -- --model_path DIR --input_texts "…"`. */
async function main(): Promise<void> {
  const args = await parseRunPaArguments();
  const print = (text: string) => process.stdout.write(text);
  if (typeof args === 'string') {
    print(args);
    return;
  }
  const warn = (text: string) => console.error(`warning: ${text}`);
  for (const text of args.warnings) warn(text);
  const observers = { onProgress: loadProgress(process.stderr), onWarning: warn };
  if (args.isEmbeddingModel) {
    await printEmbeddings(args, observers, print);
    return;
  }
  const runner = await PARunner.load({
    ...args.runner,
    ...observers,
    ...(args.profile && { onPlan: logPlan(process.stderr) }),
  });
  try {
    await runner.warmUp();
    // Standard output holds one JSON object or the text, so beside JSON text is streamed to where messages go.
    const stream = new AnswerPrinter(args.json ? (text) => process.stderr.write(text) : print);
    const result = await runner.infer(args.inputs, args.sampling, {
      isChatModel: args.isChatModel,
      chatTemplateKwargs: args.chatTemplateKwargs,
      ...(args.stream && { onText: stream.text, onAnswer: stream.answer }),
    });
    const profile = args.profile && (await saveProfile(runner, args.profile));
    if (args.json) print(`${resultToJson(result, profile)}\n`);
    else {
      if (!args.stream) printAnswers(result, print);
      print(`${metricsTable(result.metrics)}\n`);
      if (profile) print(`${profileTable(profile)}\n`);
    }
    if (args.perfCsv) appendPerfCsv(args.perfCsv, result, runner.limits.maxOutputLength);
    // A prompt that failed stands beside the answers of the others; the command has failed all the same.
    for (const { error } of result.answers) if (error) throw error;
  } finally {
    await runner.dispose();
  }
}

endWithReader();
await main().catch(reportFailure);
