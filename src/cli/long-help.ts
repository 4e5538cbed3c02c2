import { type CommandShape, helpOf } from './command-line.js';
import { FLAGS, type FlagName, GROUPS, groupOf } from './flags.js';

const LINE_WIDTH = 110;

/** The help of a command whose flags would not fit a screen the way yargs writes them. */
export function longHelp(shape: CommandShape, usage: string, describe: string): string {
  const { command, example } = shape;
  const lines = [
    `atb-models ${usage}`,
    describe,
    ...flagLines(shape),
    'Examples:',
    `  ${command} ${example}`,
  ];
  return `${lines.join('\n')}\n`;
}

const isFlag = (name: string): name is FlagName => Object.hasOwn(FLAGS, name);

/**
 * Many flags on one screen: groups without empty lines, no types, two flags on a line where they are short. Those that the
 * command declares by itself stand first, and are not required there.
 */
export function flagLines({ flags: listed, alsoKnown = [] }: CommandShape): string[] {
  const own = alsoKnown.filter(isFlag);
  const flags = [...own, ...listed];
  const describe = (name: FlagName): string =>
    own.includes(name) ? FLAGS[name].describe : helpOf(name, flags);
  const groups = GROUPS.flatMap((group) => {
    const names = flags.filter((name) => groupOf(name) === group);
    const width = Math.max(...names.map((name) => name.length));
    const cells = names.map((name) => `  --${name.padEnd(width)}  ${describe(name)}`);
    return names.length === 0 ? [] : [group, ...inPairs(cells)];
  });
  return [...groups, '  -h, --help, --version'];
}

/** Neighbours that fit into half a line share one. */
function inPairs(cells: readonly string[]): string[] {
  const half = LINE_WIDTH / 2;
  const lines: string[] = [];
  for (let i = 0; i < cells.length; i++) {
    const [cell = '', next = ''] = cells.slice(i);
    const isPair = next !== '' && cell.length < half && next.length <= half;
    lines.push(isPair ? `${cell.padEnd(half)}${next}` : cell);
    if (isPair) i++;
  }
  return lines;
}
