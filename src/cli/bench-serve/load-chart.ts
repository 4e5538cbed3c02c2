import { firstTextTimes, type LoadReport } from './load-report.js';
import type { LoadRun } from './run-load.js';

const [PANEL_WIDTH, PANEL_HEIGHT, LEFT, TOP, GAP] = [340, 200, 60, 60, 70];

const escapeXml = (text: string): string =>
  text.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c] as string);

/** Which share of latencies lies below how many milliseconds: of first tokens, and between tokens. */
export function loadChart(report: LoadReport, { records }: LoadRun): string {
  const ended = records.filter(({ failure }) => failure === undefined);
  const width = LEFT + 2 * PANEL_WIDTH + GAP + 30;
  const title = `${report.model}: ${report.succeeded} of ${report.requests} answers, ${report.outputTokensPerSecond.toFixed(1)} tokens/s`;
  const gaps = ended.flatMap(({ gapsMs }) => gapsMs);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${TOP + PANEL_HEIGHT + 50}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="${LEFT}" y="24" font-size="15" font-weight="bold">${escapeXml(title)}</text>
${panel(LEFT, 'time to first token', firstTextTimes(ended))}
${panel(LEFT + PANEL_WIDTH + GAP, 'inter-token latency', gaps)}
</svg>
`;
}

/** The sorted values as a rising line. */
function panel(left: number, title: string, values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const most = Math.max(sorted.at(-1) ?? 0, Number.MIN_VALUE);
  const x = (ms: number) => (left + (ms / most) * PANEL_WIDTH).toFixed(1);
  const y = (share: number) => (TOP + (1 - share) * PANEL_HEIGHT).toFixed(1);
  const points = sorted.map((ms, index) => `${x(ms)},${y((index + 1) / sorted.length)}`);
  const grid = [0, 0.5, 0.9, 1].map(
    (share) =>
      `<line x1="${left}" x2="${left + PANEL_WIDTH}" y1="${y(share)}" y2="${y(share)}" stroke="#ddd"/>` +
      `<text x="${left - 8}" y="${Number(y(share)) + 4}" text-anchor="end" fill="#555">${100 * share} %</text>`,
  );
  const ticks = [0, 0.5, 1].map(
    (part) =>
      `<text x="${x(part * most)}" y="${TOP + PANEL_HEIGHT + 18}" text-anchor="middle" fill="#555">${(part * most).toFixed(1)}</text>`,
  );
  return [
    `<text x="${left}" y="${TOP - 12}">${title}, ms</text>`,
    ...grid,
    ...ticks,
    `<polyline points="${x(0)},${y(0)} ${points.join(' ')}" fill="none" stroke="#3b7dd8" stroke-width="2"/>`,
  ].join('\n');
}
