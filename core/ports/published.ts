/**
 * The published files, as a service asks them. {@link PublishedRows} runs our own statements; {@link SqlRunner} runs
 * anybody's, in a process of its own that is bounded from outside. Real ones: `platform/published_rows.ts`,
 * `platform/query_process.ts`.
 */

/** A cell of a result: null, a text as DuckDB writes it, or what JSON can hold exactly. */
export type Cell = string | number | boolean | null;

export interface PublishedRows {
  /**
   * Runs one of our own statements on the newest publication; `?` stand for `values`. Null when nothing is published
   * yet. One at a time: a call waits for those before it.
   */
  query(sql: string, values?: readonly Cell[]): Promise<readonly (readonly Cell[])[] | null>;
  /** When the newest publication was made, in Unix ms, and its generation; null when there is none. */
  published(): Promise<{ readonly publishedMs: number; readonly generation: number } | null>;
  close(): Promise<void>;
}

export interface SqlColumn {
  readonly name: string;
  /** DuckDB's name of the type, `TIMESTAMP` for instance. */
  readonly type: string;
  readonly isNumber: boolean;
}

/** What a query tells, in this order: `columns`, `rows` any number of times, then `end`; or `error` at any time. */
export type SqlEvent =
  | { readonly kind: "columns"; readonly columns: readonly SqlColumn[] }
  | { readonly kind: "rows"; readonly rows: readonly (readonly Cell[])[] }
  /** `cut`: why there are fewer rows than the query has. */
  | { readonly kind: "end"; readonly rows: number; readonly cut: "rows" | "bytes" | null }
  | { readonly kind: "error"; readonly message: string };

/** Bounds of one query. */
export interface SqlBounds {
  readonly rowsMax: number;
  /** Text of all rows together. */
  readonly bytesMax: number;
  /** The process is killed after so long. */
  readonly deadlineMs: number;
}

export type SqlFile = "csv" | "parquet";

export interface SqlRunner {
  /** Runs one SELECT of anybody's; ends early, and frees everything, when `signal` aborts. Never throws. */
  run(sql: string, bounds: SqlBounds, signal: AbortSignal): AsyncIterable<SqlEvent>;
  /** The result of one of our own statements as a file; the file is gone once it was read or cancelled. */
  file(sql: string, format: SqlFile, deadlineMs: number): Promise<ReadableStream<Uint8Array>>;
  close(): Promise<void>;
}
