export { AnswerPrinter } from './answer-printer.js';
export { printEmbeddings } from './embed.js';
export { endWithReader, reportFailure } from './failure.js';
export { loadProgress } from './progress.js';
export {
  appendPerfCsv,
  metricsTable,
  percentile,
  printAnswers,
  profileTable,
  resultToJson,
} from './report.js';
export { parseRunPaArguments, type RunPaArguments, runPaHelp } from './run-pa.js';
export { logPlan, saveProfile } from './save-profile.js';
