/**
 * Whether one SQL statement only reads. By its first word, before DuckDB prepares it: preparing EXPORT DATABASE makes its
 * folder already. EXPLAIN may explain what may be run; with ANALYZE it would run it.
 */
export function isReading(sql: string): boolean {
  const text = sql.replace(/^(\s|--[^\n]*(\n|$)|\/\*[\s\S]*?\*\/)+/, "");
  const [first = "", second = ""] = text.toUpperCase().match(/^\(|[A-Z]+/g)?.slice(0, 2) ?? [];
  return first === "EXPLAIN" ? readingWords.has(second) : readingWords.has(first);
}

const readingWords = new Set([
  "(",
  "SELECT",
  "FROM",
  "WITH",
  "VALUES",
  "DESCRIBE",
  "DESC",
  "SHOW",
  "SUMMARIZE",
  "PIVOT",
  "UNPIVOT",
  "TABLE",
]);
