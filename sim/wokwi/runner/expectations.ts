/**
 * What a scenario must have left in DuckDB: `NAME.expect.sql` beside `NAME.scenario.yaml`. Plain SQL, in which each
 * statement is followed by its result in comments, column names first, so that the file also runs in any DuckDB client:
 *
 * ```sql
 * SELECT count(*) AS readings, max(temperature_c) AS warmest FROM readings;
 * --> readings | warmest
 * --> 3 | 21.5
 * ```
 */

/** The result of a query, as `platform/duckdb/reader.ts` gives it. */
export interface QueryResult {
  readonly columns: readonly { readonly name: string }[];
  readonly rows: readonly (readonly (string | number | boolean | null)[])[];
  /** There were more rows than asked for. */
  readonly isCut: boolean;
}

export interface Expectation {
  /** Where the statement begins, from 1. */
  readonly line: number;
  readonly sql: string;
  /** Column names, then rows; cells as text, `NULL` for null. */
  readonly expected: readonly (readonly string[])[];
}

export type ReadExpectations =
  | { readonly kind: "expectations"; readonly expectations: readonly Expectation[] }
  | { readonly kind: "problem"; readonly problem: string };

/** Rows of a result that are looked at; an expectation is written by hand. */
export const rowsMax = 1_000;

const cellsOf = (line: string): string[] => line.slice("-->".length).split("|").map((cell) => cell.trim());

/** Reads the file's text. */
export function readExpectations(text: string): ReadExpectations {
  const expectations: Expectation[] = [];
  let sql: string[] = [];
  let expected: string[][] = [];
  let line = 0;
  const end = (): ReadExpectations | null => {
    if (sql.length === 0) return null;
    if (expected.length === 0) {
      return problem(line, "the statement's result is missing: --> columns, then rows");
    }
    const [columns = []] = expected;
    const odd = expected.find((cells) => cells.length !== columns.length);
    if (odd !== undefined) return problem(line, `a row has ${odd.length} cells, not ${columns.length}`);
    expectations.push({ line, sql: sql.join("\n"), expected });
    [sql, expected] = [[], []];
    return null;
  };
  for (const [index, content] of text.split(/\r?\n/).entries()) {
    if (content.startsWith("-->")) {
      if (sql.length === 0) return problem(index + 1, "a result follows its statement");
      expected.push(cellsOf(content));
      continue;
    }
    if (content.trim() === "" || content.trim().startsWith("--")) continue;
    if (expected.length > 0) {
      const wrong = end();
      if (wrong !== null) return wrong;
    }
    if (sql.length === 0) line = index + 1;
    sql.push(content);
  }
  const wrong = end();
  if (wrong !== null) return wrong;
  return expectations.length === 0 ? problem(1, "has no statement") : { kind: "expectations", expectations };
}

/** Null if the result is the expected one; else both, as text. */
export function mismatch({ sql, expected, line }: Expectation, result: QueryResult): string | null {
  const actual = [
    result.columns.map(({ name }) => name),
    ...result.rows.map((row) => row.map((cell) => cell === null ? "NULL" : String(cell))),
  ];
  const same = !result.isCut && JSON.stringify(actual) === JSON.stringify(expected);
  if (same) return null;
  const table = (rows: readonly (readonly string[])[]) =>
    rows.map((row) => `  ${row.join(" | ")}`).join("\n");
  const more = result.isCut ? `\n  … more than ${rowsMax} rows` : "";
  return `line ${line}: ${sql}\nexpected\n${table(expected)}\nbut DuckDB has\n${table(actual)}${more}`;
}

const problem = (line: number, sentence: string): ReadExpectations => ({
  kind: "problem",
  problem: `line ${line}: ${sentence}`,
});
