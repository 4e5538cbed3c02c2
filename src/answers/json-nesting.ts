/** Where a place of a JSON text is, letter by letter: how deep, and whether within a string. */
export class JsonNesting {
  depth = 0;
  isInString = false;
  #isEscaped = false;

  take(letter: string): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (this.isInString && letter === '\\') this.#isEscaped = true;
    else if (letter === '"') this.isInString = !this.isInString;
    else if (this.isInString) return;
    else if (letter === '{' || letter === '[') this.depth++;
    else if (letter === '}' || letter === ']') this.depth--;
  }
}
