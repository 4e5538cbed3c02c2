import type { Row } from './results.js';

const escapeXml = (text: string) =>
  text.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c] as string);

/** Bars of speed relative to the peer, one a row; the line marks the peer's own speed. */
export function drawChart(rows: readonly Row[], caption: string): string {
  const bars = rows.filter(({ sample }) => sample.ratio && sample.better === 'more');
  const [left, width, height] = [250, 460, 26];
  const top = Math.max(2, ...bars.map(({ sample }) => sample.ratio?.max ?? 0));
  const x = (ratio: number) => left + (ratio / top) * width;
  const lines = bars.map(({ model, what, sample }, i) => {
    const y = 50 + i * height;
    const { min, median, max } = sample.ratio as { min: number; median: number; max: number };
    return [
      `<text x="${left - 10}" y="${y + 13}" text-anchor="end">${escapeXml(`${model}, ${what}`)}</text>`,
      `<rect x="${left}" y="${y}" width="${x(median) - left}" height="${height - 8}" fill="#3b7dd8"/>`,
      `<line x1="${x(min)}" x2="${x(max)}" y1="${y + 9}" y2="${y + 9}" stroke="#17365f" stroke-width="2"/>`,
      `<text x="${x(max) + 6}" y="${y + 13}">${median.toFixed(2)}x</text>`,
    ].join('\n');
  });
  const bottom = 50 + bars.length * height;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 80}" height="${bottom + 40}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="10" y="22" font-size="15" font-weight="bold">Speed relative to the peer</text>
${lines.join('\n')}
<line x1="${x(1)}" x2="${x(1)}" y1="40" y2="${bottom}" stroke="#c0392b" stroke-dasharray="4 3"/>
<text x="10" y="${bottom + 24}" fill="#555">${escapeXml(caption)}</text>
</svg>
`;
}
