const YEAR = '\\d{4}';
const MONTH = '(?:0[1-9]|1[0-2])';
const DAY = '(?:0[1-9]|[12]\\d|3[01])';
const DATE = `${YEAR}-${MONTH}-${DAY}`;
const CLOCK = '(?:[01]\\d|2[0-3]):[0-5]\\d:(?:[0-5]\\d|60)(?:\\.\\d+)?';
const ZONE = '(?:[Zz]|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)';
const LABEL = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const BYTE = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = `${BYTE}\\.${BYTE}\\.${BYTE}\\.${BYTE}`;
const GROUP = '[0-9a-fA-F]{1,4}';
/** Fewer characters than RFC 5321 has, so that other checks of addresses agree. */
const ATOM = '[a-zA-Z0-9_+-]+';

/** IPv6 with `::` after n groups: at most 7 - n follow it. */
const shortened = Array.from({ length: 8 }, (_, before) => {
  const first = before === 0 ? '' : `${GROUP}(?::${GROUP}){${before - 1}}`;
  const after = 7 - before;
  const rest = after === 0 ? '' : `(?:${GROUP}(?::${GROUP}){0,${after - 1}})?`;
  return `${first}::${rest}`;
});

/** Formats of strings as patterns (RFC 3339, 4122, 5321, 1123, 4291, 3986). Others are annotations, as JSON Schema has it. */
export const FORMATS: Readonly<Record<string, string>> = {
  date: `^${DATE}$`,
  time: `^${CLOCK}${ZONE}$`,
  'date-time': `^${DATE}[Tt]${CLOCK}${ZONE}$`,
  duration:
    '^P(?:\\d+W|(?:\\d+Y(?:\\d+M)?(?:\\d+D)?|\\d+M(?:\\d+D)?|\\d+D)(?:T(?:\\d+H(?:\\d+M)?(?:\\d+S)?|\\d+M(?:\\d+S)?|\\d+S))?|T(?:\\d+H(?:\\d+M)?(?:\\d+S)?|\\d+M(?:\\d+S)?|\\d+S))$',
  uuid: '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$',
  email: `^${ATOM}(?:\\.${ATOM})*@(?:${LABEL}\\.)+[a-zA-Z]{2,}$`,
  hostname: `^${LABEL}(?:\\.${LABEL})*$`,
  ipv4: `^${IPV4}$`,
  ipv6: `^(?:${GROUP}(?::${GROUP}){7}|${shortened.join('|')})$`,
  uri: "^[a-zA-Z][a-zA-Z0-9+.-]*:(?:[a-zA-Z0-9\\-._~:/?#@!$&'()*+,;=\\[\\]]|%[0-9a-fA-F]{2})*$",
};
