/**
 * InfluxDB's line protocol (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/) taken apart. Pure.
 * Numbers keep their text, so that nothing is rounded on the way; fields that aren't numbers are left out.
 */

/** One line: `measurement,tag=value field=1,field=2 timestamp`. */
export interface Point {
  /** Number of its line in the body, from 1. */
  readonly line: number;
  readonly measurement: string;
  readonly tags: ReadonlyMap<string, string>;
  /** Numbers in JSON's notation, by field. */
  readonly fields: ReadonlyMap<string, string>;
  /** Digits of the timestamp as sent, in the precision of the request; null if there is none. */
  readonly timestamp: string | null;
}

export interface LineProblem {
  readonly line: number;
  readonly message: string;
}

export interface ParsedLines {
  readonly points: readonly Point[];
  readonly problems: readonly LineProblem[];
}

const NEWLINE = "\n";
/** A JSON number, or what comes close: a leading point or plus, a trailing point, `i` or `u` for integers. */
const NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?([eE][+-]?\d+)?[iu]?$/;
const TIMESTAMP = /^-?\d{1,20}$/;
/** Characters of a number; with it a batch of points always fits into a record. */
const NUMBER_LENGTH_MAX = 64;

/** Takes a body apart; what is wrong with one line costs that line only. */
export function parseLines(text: string): ParsedLines {
  const points: Point[] = [];
  const problems: LineProblem[] = [];
  const scanner = new Scanner(text);
  for (; !scanner.atEnd; scanner.nextLine()) {
    scanner.skip(" \t\r");
    if (scanner.peek() === "#" || scanner.peek() === NEWLINE || scanner.atEnd) continue;
    const { line } = scanner;
    try {
      points.push(point(scanner));
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      problems.push({ line, message: error.message });
    }
  }
  return { points, problems };
}

class LineError extends Error {}

function point(scanner: Scanner): Point {
  const { line } = scanner;
  const measurement = scanner.name(", ");
  if (measurement === "") throw new LineError("it starts without a measurement");
  const tags = new Map<string, string>();
  while (scanner.take(",")) {
    const key = scanner.name(",= ");
    if (!scanner.take("=")) throw new LineError(`the tag ${JSON.stringify(key.slice(0, 40))} has no value`);
    tags.set(key, scanner.name(",= "));
  }
  if (!scanner.take(" ")) throw new LineError("it has no fields");
  scanner.skip(" ");
  const fields = new Map<string, string>();
  do {
    const key = scanner.name(",= ");
    if (key === "" || !scanner.take("=")) throw new LineError("a field has no name or no value");
    const value = scanner.peek() === '"' ? (scanner.quoted(), null) : numberText(scanner.name(", "));
    if (value !== null) fields.set(key, value);
  } while (scanner.take(","));
  scanner.skip(" ");
  const timestamp = scanner.name(" ").replace(/\r$/, "");
  scanner.skip(" \r");
  if (!scanner.atEnd && scanner.peek() !== NEWLINE) throw new LineError("something follows the timestamp");
  if (timestamp !== "" && !TIMESTAMP.test(timestamp)) throw new LineError("the timestamp is no integer");
  return { line, measurement, tags, fields, timestamp: timestamp === "" ? null : timestamp };
}

/** The number in JSON's notation, or null for what is no number (booleans). */
function numberText(value: string): string | null {
  const text = value.replace(/\r$/, "");
  if (/^(t|T|true|True|TRUE|f|F|false|False|FALSE)$/.test(text)) return null;
  const match = NUMBER.exec(text);
  const [, sign = "", whole = "", fraction = "", exponent = ""] = match ?? [];
  if (text.length > NUMBER_LENGTH_MAX) {
    throw new LineError(`a number has more than ${NUMBER_LENGTH_MAX} characters`);
  }
  if (match === null || whole + fraction === "") {
    throw new LineError(`${JSON.stringify(text.slice(0, 40))} is no number: text stands in double quotes`);
  }
  const digits = whole.replace(/^0+(?=\d)/, "") || "0";
  return `${sign === "-" ? "-" : ""}${digits}${fraction === "" ? "" : `.${fraction}`}${exponent}`;
}

class Scanner {
  readonly #text: string;
  #at = 0;
  line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  get atEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  peek(): string | undefined {
    return this.#text[this.#at];
  }

  take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  skip(characters: string): void {
    while (!this.atEnd && characters.includes(this.#text[this.#at]!)) this.#at++;
  }

  /** To the start of the next line. */
  nextLine(): void {
    const end = this.#text.indexOf(NEWLINE, this.#at);
    this.#at = end < 0 ? this.#text.length : end + 1;
    this.line++;
  }

  /** Text up to one of `ends` or the line's end; a backslash before one of `,= \` takes it as it is. */
  name(ends: string): string {
    let name = "";
    for (; !this.atEnd; this.#at++) {
      const character = this.#text[this.#at]!;
      if (character === "\\" && ",= \\".includes(this.#text[this.#at + 1] ?? "x")) {
        name += this.#text[++this.#at]!;
      } else if (character === NEWLINE || ends.includes(character)) {
        break;
      } else name += character;
    }
    return name;
  }

  /** Skips a text in double quotes; it may hold line ends. */
  quoted(): void {
    for (this.#at++; !this.atEnd; this.#at++) {
      const character = this.#text[this.#at]!;
      if (character === "\\") this.#at++;
      else if (character === '"') {
        this.#at++;
        return;
      } else if (character === NEWLINE) this.line++;
    }
    throw new LineError("a text in quotes has no end");
  }
}
