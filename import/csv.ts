/**
 * CSV as RFC 4180 has it and as data loggers write it: a push parser that holds one unfinished row, so a file of any
 * size needs the memory of one chunk. A quoted field may contain the delimiter, line breaks and doubled quotes; lines
 * end in \n, \r\n or \r; a byte order mark is dropped; empty lines are skipped.
 */

/** One row: the 1-based line of its first character, and its fields without their quotes. */
export interface CsvRow {
  readonly line: number;
  readonly fields: readonly string[];
}

export interface CsvParser {
  /** Takes the next piece of text and gives the rows that it completes. */
  push(text: string): CsvRow[];
  /** The last row, where the file doesn't end in a line break. */
  end(): CsvRow[];
}

/** A row longer than this is no row: most likely a quote was opened and never closed. In UTF-16 units. */
export const rowLengthMax = 1_000_000;

/** The file can't be read as CSV; the message names the line and what to look for. */
export class CsvBroken extends Error {
  override name = "CsvBroken";
}

/**
 * A parser for one file.
 *
 * ```ts
 * import { deepEqual } from "node:assert/strict";
 * import { createCsvParser } from "./csv.ts";
 *
 * const parser = createCsvParser(";");
 * deepEqual(parser.push('id;place\n7;"a ; b"\n8;'), [
 *   { line: 1, fields: ["id", "place"] },
 *   { line: 2, fields: ["7", "a ; b"] },
 * ]);
 * deepEqual(parser.end(), [{ line: 3, fields: ["8", ""] }]);
 * ```
 */
export function createCsvParser(delimiter: string): CsvParser {
  let held = "";
  let line = 1;
  let isStart = true;
  // After a \r that ended the last piece, a \n that begins the next one belongs to the same line break.
  let skipLineFeed = false;

  /** Parses what is held; leaves an unfinished row unless `isEnd`. */
  function take(isEnd: boolean): CsvRow[] {
    const rows: CsvRow[] = [];
    let at = 0;
    if (skipLineFeed && held.length > 0) {
      if (held[0] === "\n") at = 1;
      skipLineFeed = false;
    }
    while (at < held.length) {
      const row = rowAt(held, at, delimiter, isEnd);
      if (row === null) break;
      if (row.fields.length > 1 || row.fields[0] !== "") rows.push({ line, fields: row.fields });
      line += row.lineBreaks;
      at = row.next;
      if (row.endsInReturn && at === held.length) skipLineFeed = true;
      else if (row.endsInReturn && held[at] === "\n") at++;
    }
    held = held.slice(at);
    if (held.length > rowLengthMax) {
      throw new CsvBroken(
        `the row at line ${line} is longer than ${rowLengthMax} characters: look for a quote that is never closed`,
      );
    }
    return rows;
  }

  return {
    push(text) {
      if (isStart && text.length > 0) {
        isStart = false;
        if (text.charCodeAt(0) === 0xfeff) text = text.slice(1);
      }
      held += text;
      return take(false);
    },
    end: () => take(true),
  };
}

interface RowAt {
  readonly fields: string[];
  readonly next: number;
  readonly lineBreaks: number;
  readonly endsInReturn: boolean;
}

/** The row that starts at `start`, or null when its end isn't there yet. */
function rowAt(text: string, start: number, delimiter: string, isEnd: boolean): RowAt | null {
  const plain = plainRowAt(text, start, delimiter, isEnd);
  return plain === "quoted" ? quotedRowAt(text, start, delimiter, isEnd) : plain;
}

/** Nearly every row: no quote in it. */
function plainRowAt(text: string, start: number, delimiter: string, isEnd: boolean): RowAt | null | "quoted" {
  let end = start;
  for (; end < text.length; end++) {
    const code = text.charCodeAt(end);
    if (code === 0x0a || code === 0x0d) break;
    if (code === 0x22) return "quoted";
  }
  if (end === text.length && !isEnd) return null;
  const fields = text.slice(start, end).split(delimiter);
  return { fields, next: end + 1, lineBreaks: 1, endsInReturn: text[end] === "\r" };
}

function quotedRowAt(text: string, start: number, delimiter: string, isEnd: boolean): RowAt | null {
  const fields: string[] = [];
  let lineBreaks = 1;
  let field = "";
  let isQuoted = false;
  let isFieldStart = true;
  let at = start;
  for (; at < text.length; at++) {
    const character = text[at] ?? "";
    if (isQuoted) {
      if (character === '"') {
        if (at + 1 === text.length && !isEnd) return null; // the next piece may bring the second quote of a pair
        if (text[at + 1] === '"') {
          field += '"';
          at++;
        } else isQuoted = false;
      } else {
        if (character === "\n" || (character === "\r" && text[at + 1] !== "\n")) lineBreaks++;
        field += character;
      }
    } else if (character === '"' && isFieldStart) {
      isQuoted = true;
      isFieldStart = false;
    } else if (character === delimiter) {
      fields.push(field);
      field = "";
      isFieldStart = true;
    } else if (character === "\n" || character === "\r") {
      break;
    } else {
      field += character;
      isFieldStart = false;
    }
  }
  if (at === text.length && !isEnd) return null;
  fields.push(field);
  return { fields, next: at + 1, lineBreaks, endsInReturn: text[at] === "\r" };
}

/** The delimiter that a header line most likely uses: the one that stands in it most often outside quotes. */
export function guessDelimiter(headerLine: string): string {
  const bare = headerLine.replace(/"[^"]*"/g, "");
  const counts = [",", ";", "\t", "|"].map((delimiter) => ({
    delimiter,
    count: bare.split(delimiter).length - 1,
  }));
  return counts.reduce((best, one) => one.count > best.count ? one : best).delimiter;
}
