/** The SQL console's server side: one query as a stream of lines, cancelled by leaving. */
import type { PublishedRows, SqlRunner } from "../core/ports/published.ts";
import { dashboardLimits } from "./config.ts";

/**
 * One JSON line an event (`SqlEvent`), after a first one that says it has begun. When the reader goes away, the query's
 * process is killed.
 */
export function sqlStream(runner: SqlRunner, sql: string): Response {
  const abort = new AbortController();
  const { sqlRowsMax: rowsMax, sqlBytesMax: bytesMax, sqlDeadlineMs: deadlineMs } = dashboardLimits;
  const events = runner.run(sql, { rowsMax, bytesMax, deadlineMs }, abort.signal)[Symbol.asyncIterator]();
  const encoder = new TextEncoder();
  const line = (value: unknown) => encoder.encode(`${JSON.stringify(value)}\n`);
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(line({ kind: "begun", rowsMax, deadlineMs })),
    async pull(controller) {
      const { done, value } = await events.next();
      if (done) controller.close();
      else controller.enqueue(line(value));
    },
    async cancel() {
      abort.abort();
      await events.return?.();
    },
  });
  return new Response(body, {
    headers: { "content-type": "application/x-ndjson", "cache-control": "no-store" },
  });
}

/** The documented views with their columns and comments, for completion and for reading. */
export async function schemaOf(rows: PublishedRows) {
  const found = await rows.query(
    `SELECT c.table_name, v.comment, c.column_name, c.data_type, c.comment
     FROM duckdb_columns() c JOIN duckdb_views() v
       ON v.view_name = c.table_name AND v.database_name = c.database_name AND v.schema_name = c.schema_name
     WHERE v.comment IS NOT NULL AND NOT v.internal ORDER BY c.table_name, c.column_index`,
  );
  const views = new Map<string, { name: string; comment: string; columns: unknown[] }>();
  for (const [name, comment, column, type, columnComment] of found ?? []) {
    const view = views.get(String(name)) ?? { name: String(name), comment: String(comment), columns: [] };
    view.columns.push({ name: column, type, comment: columnComment });
    views.set(view.name, view);
  }
  return [...views.values()];
}
