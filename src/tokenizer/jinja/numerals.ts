// What Python's `str.isdigit` and `str.isnumeric` know beyond the properties that JavaScript's patterns have.

/** Digits, those above and below a line, and those in circles, brackets and with a full stop. */
export const DIGITS = /^[\p{Nd}²³¹⁰⁴-⁹₀-₉፩-፱᧚①-⑨⑴-⑼⒈-⒐⓪⓵-⓽⓿❶-❾➀-➈➊-➒𐩀-𐩃𐹠-𐹨𑁒-𑁚🄀-🄊]+$/u;

/** Chinese characters that are numbers. */
const NUMERALS =
  '㐅㒃㠪㭍一七万三九二五亖亿什仟仨伍佰億兆兩八六十千卄卅卌叁参參叄四壱壹幺廾廿弌弍弎弐拾捌柒漆玖百肆萬貮貳贰阡陆陌陸零參拾' +
  '兩零六陸什𠀁𠁤𠃢𠄡𠤪𠦃𠦌𠦜𠫪𠫽𠬙𢎐𢦘𣬛𦉭廾';
export const NUMBERS = new RegExp(`^[\\p{N}${NUMERALS}]+$`, 'u');

const DECIMAL = /^\p{Nd}$/u;

/** A text with ASCII's digits in the place of other scripts', of which Unicode has ten in a row, and some rows in a row. */
export function asciiDigits(text: string): string {
  return text.replace(/(?!\d)\p{Nd}/gu, (digit) => {
    const code = digit.codePointAt(0) ?? 0;
    let first = code;
    while (DECIMAL.test(String.fromCodePoint(first - 1))) first--;
    return String((code - first) % 10);
  });
}
