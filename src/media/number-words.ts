const ONES = [
  ...['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven'],
  ...['twelve', 'thirteen', 'fourteen', 'fifteen', 'sixteen', 'seventeen', 'eighteen', 'nineteen'],
];
const TENS = ['', '', 'twenty', 'thirty', 'forty', 'fifty', 'sixty', 'seventy', 'eighty', 'ninety'];

/** A number below a thousand in English words, as Python's num2words writes it: "two hundred and forty-one". */
export function numberWords(count: number): string {
  if (count >= 100) {
    const hundreds = `${ONES[Math.floor(count / 100)]} hundred`;
    return count % 100 === 0 ? hundreds : `${hundreds} and ${numberWords(count % 100)}`;
  }
  const small = ONES[count];
  if (small !== undefined) return small;
  const tens = TENS[Math.floor(count / 10)] ?? '';
  return count % 10 === 0 ? tens : `${tens}-${ONES[count % 10]}`;
}
