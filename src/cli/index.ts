export { reportFailure } from './failure.js';
export { loadProgress } from './progress.js';
export {
  appendPerfCsv,
  metricsTable,
  percentile,
  printResult,
  profileTable,
  resultToJson,
} from './report.js';
export { parseRunPaArguments, type RunPaArguments, runPaHelp } from './run-pa.js';
export { logPlan, saveProfile } from './save-profile.js';
