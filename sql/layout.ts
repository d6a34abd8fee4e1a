/** A result as text: a table for people, CSV, JSON or Markdown for programs. */

export interface Column {
  readonly name: string;
  readonly isNumber: boolean;
}

export type Cell = string | number | boolean | null;

export interface Rows {
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
}

/** Digits after the point that a person wants to see; programs get all. */
const SHOWN_DECIMALS = 4;
/** Characters of one cell that a table shows; the rest is cut, with "…". */
const CELL_WIDTH_MAX = 60;

/**
 * A table at most `width` characters wide. One that is too wide is turned on its side, a line for each column and as
 * many rows beside each other as fit, so that nothing is left out.
 */
export function tableText({ columns, rows }: Rows, width: number): string {
  const upright = [columns.map(({ name }) => name), ...rows.map((row) => row.map(shown))];
  const alignsRight = columns.map(({ isNumber }) => isNumber);
  if (columns.length === 0) return "";
  if (rows.length === 0 || widthOf(upright) <= width) return drawn(upright, alignsRight);
  return sideways(upright, width);
}

function sideways(upright: readonly (readonly string[])[], width: number): string {
  const [names, ...rows] = upright;
  const blocks: string[] = [];
  for (let from = 0; from < rows.length;) {
    let count = 1;
    while (
      from + count < rows.length && widthOf(turned(names!, rows.slice(from, from + count + 1))) <= width
    ) count++;
    blocks.push(drawn(turned(names!, rows.slice(from, from + count)), []));
    from += count;
  }
  return blocks.join("\n");
}

/** A line for each name with the values of the rows; no header line, so the first is empty. */
function turned(names: readonly string[], rows: readonly (readonly string[])[]): string[][] {
  return [[], ...names.map((name, index) => [name, ...rows.map((row) => row[index]!)])];
}

function widths(lines: readonly (readonly string[])[]): number[] {
  const found: number[] = [];
  for (const line of lines) {
    line.forEach((cell, index) => found[index] = Math.max(found[index] ?? 0, columnsOf(cell)));
  }
  return found;
}

function widthOf(lines: readonly (readonly string[])[]): number {
  return widths(lines).reduce((sum, width) => sum + width + 3, 1);
}

/** Lines with a frame; the first is the header, unless it is empty. */
function drawn(lines: readonly (readonly string[])[], alignsRight: readonly boolean[]): string {
  const columnWidths = widths(lines);
  const rule = (left: string, middle: string, right: string) =>
    left + columnWidths.map((width) => "─".repeat(width + 2)).join(middle) + right;
  const line = (cells: readonly string[]) =>
    `│${
      cells.map((cell, index) => {
        const space = " ".repeat(columnWidths[index]! - columnsOf(cell));
        return ` ${alignsRight[index] === true ? space + cell : cell + space} `;
      }).join("│")
    }│`;
  const [header, ...body] = lines;
  const head = header!.length === 0 ? [] : [line(header!), rule("├", "┼", "┤")];
  return [rule("┌", "┬", "┐"), ...head, ...body.map(line), rule("└", "┴", "┘")].join("\n") + "\n";
}

function shown(cell: Cell): string {
  if (cell === null) return "NULL";
  if (typeof cell === "number" && !Number.isInteger(cell)) {
    return String(Number(cell.toFixed(SHOWN_DECIMALS)));
  }
  // deno-lint-ignore no-control-regex -- control characters would move the cursor
  const text = String(cell).replace(/[\u0000-\u001f\u007f-\u009f]/g, "·");
  const characters = [...text];
  return characters.length > CELL_WIDTH_MAX ? characters.slice(0, CELL_WIDTH_MAX - 1).join("") + "…" : text;
}

/** Terminal columns of a text: wide East Asian characters and emoji take two, combining marks none. */
function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) {
    if (/\p{Mark}|\u200d|\ufe0f/u.test(character)) continue;
    columns +=
      /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uff60]/u.test(
          character,
        )
        ? 2
        : 1;
  }
  return columns;
}

/** CSV as in RFC 4180, lines ended by LF; null is an empty cell, an empty text is `""`. */
export function csvText({ columns, rows }: Rows): string {
  const cell = (value: Cell) => {
    if (value === null) return "";
    const text = String(value);
    return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns.map(({ name }) => cell(name)), ...rows.map((row) => row.map(cell))];
  return lines.map((line) => line.join(",")).join("\n") + "\n";
}

/** One JSON array with an object for each row, a row a line. */
export function jsonText({ columns, rows }: Rows): string {
  const objects = rows.map((row) =>
    JSON.stringify(Object.fromEntries(columns.map(({ name }, index) => [name, row[index]])))
  );
  return objects.length === 0 ? "[]\n" : `[\n${objects.join(",\n")}\n]\n`;
}

/** A Markdown table. */
export function markdownText({ columns, rows }: Rows): string {
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(" | ")} |`;
  const rule = `| ${columns.map(({ isNumber }) => isNumber ? "---:" : "---").join(" | ")} |`;
  const body = rows.map((row) => line(row.map((value) => value === null ? "" : shown(value))));
  return [line(columns.map(({ name }) => name)), rule, ...body].join("\n") + "\n";
}
