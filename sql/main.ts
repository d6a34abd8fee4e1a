/** `deno task sql`: queries over the published files, in a process that may read, and write its own history. */
import process from "node:process";
import { createInterface } from "node:readline";
import { StoreRefused } from "../core/ports/store.ts";
import { machineClock } from "../platform/clock.ts";
import { Catalogue, QueryFailed, type Result } from "../platform/duckdb/reader.ts";
import { csvText, jsonText, markdownText, tableText } from "./layout.ts";
import { type Format, parseSqlOptions, sqlHelp, type SqlOptions } from "./options.ts";
import { completionsOf, createSession, type SessionPorts } from "./session.ts";

/** Width of a table that goes to no terminal. */
const FILE_WIDTH = 100_000;
/** Width of a terminal that does not know its own. */
const TERMINAL_WIDTH = 80;
const HISTORY_FILE = "data/sql-history.txt";
const HISTORY_MAX = 1_000;
/** Names that completion knows. */
const NAMES_MAX = 2_000;
/** Words that completion knows besides names. */
const words = (
  "SELECT FROM WHERE GROUP BY ORDER LIMIT DESC JOIN USING WITH AS AND OR NOT NULL BETWEEN INTERVAL COUNT AVG MIN MAX " +
  "DESCRIBE"
).split(" ");

async function main(args: readonly string[]): Promise<number> {
  const parsed = parseSqlOptions(args);
  switch (parsed.kind) {
    case "help":
      console.log(sqlHelp);
      return 0;
    case "problems":
      for (const problem of parsed.problems) console.error(problem);
      console.error("deno task sql --help shows all options");
      return 2;
    case "options":
      return await run(parsed.options);
  }
}

async function run({ sql, data, format, limit }: SqlOptions): Promise<number> {
  try {
    const answers = new Answers(data);
    if (sql !== null) return await answers.answer(sql, format, limit) ? 0 : 1;
    const ask = Deno.stdin.isTerminal() ? askInTerminal : askFromPipe;
    return await ask(answers, { format, limit });
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return 0;
    throw error;
  }
}

/** Answers from the newest publication, which is opened anew for each question. */
class Answers implements SessionPorts {
  #current: Catalogue | null = null;

  constructor(readonly data: string) {}

  get isBusy(): boolean {
    return this.#current !== null;
  }
  cancel(): void {
    this.#current?.interrupt();
  }

  async answer(sql: string, format: Format, limit: number): Promise<boolean> {
    return await this.#opened(async (catalogue) => {
      const result = await catalogue.query(sql, limit);
      await write(Deno.stdout, text(result, format));
      if (result.isCut) await write(Deno.stderr, cutText(limit));
      if (format === "table" && Deno.stdout.isTerminal()) {
        await write(Deno.stderr, freshness(result, await catalogue.publishedMs()));
      }
    });
  }

  async views(): Promise<readonly (readonly [string, string])[]> {
    const rows = await this.#listed(
      "SELECT view_name, comment FROM duckdb_views() WHERE comment IS NOT NULL AND NOT internal ORDER BY 1",
    );
    return rows.map(([name, comment]) => [String(name), String(comment)]);
  }

  /** Views and columns, for completion. */
  async names(): Promise<string[]> {
    const rows = await this.#listed(
      `SELECT DISTINCT unnest([table_name, column_name]) FROM duckdb_columns()
       WHERE comment IS NOT NULL AND NOT internal`,
    );
    return rows.map(([name]) => String(name));
  }

  async #listed(sql: string): Promise<readonly (readonly unknown[])[]> {
    try {
      const catalogue = await Catalogue.open(this.data);
      try {
        return (await catalogue.query(sql, NAMES_MAX)).rows;
      } finally {
        catalogue.close();
      }
    } catch (error) {
      if (error instanceof StoreRefused || error instanceof QueryFailed) return [];
      throw error;
    }
  }

  async #opened(task: (catalogue: Catalogue) => Promise<void>): Promise<boolean> {
    try {
      this.#current = await Catalogue.open(this.data);
      await task(this.#current);
      return true;
    } catch (error) {
      if (!(error instanceof StoreRefused || error instanceof QueryFailed)) throw error;
      await write(Deno.stderr, `${error.message}\n`);
      return false;
    } finally {
      this.#current?.close();
      this.#current = null;
    }
  }

  print(content: string): Promise<void> {
    return write(Deno.stdout, content);
  }
}

type Ask = (answers: Answers, start: { readonly format: Format; readonly limit: number }) => Promise<number>;

const askFromPipe: Ask = async (answers, start) => {
  const session = createSession(answers, start);
  for await (const line of createInterface({ input: process.stdin, terminal: false })) {
    if (await session.take(line) === "end") break;
  }
  await session.finish();
  return session.hasFailed ? 1 : 0;
};

const askInTerminal: Ask = async (answers, start) => {
  const session = createSession(answers, start);
  const names = [...words, ...await answers.names()];
  const readline = createInterface({
    input: process.stdin,
    output: process.stdout,
    terminal: true,
    history: await readHistory(),
    historySize: HISTORY_MAX,
    removeHistoryDuplicates: true,
    completer: (line: string) => completionsOf(line, names),
  });
  let hasEnded = false;
  let isEnding = false;
  const prompt = () => {
    readline.setPrompt(session.isOpen ? "     ...> " : "isotherm> ");
    readline.prompt();
  };
  readline.on("close", () => {
    hasEnded = true;
    answers.cancel();
  });
  readline.on("SIGINT", () => {
    if (answers.isBusy) {
      if (isEnding) Deno.exit(130); // it doesn't heed the first one
      isEnding = true;
      return answers.cancel();
    }
    session.drop();
    readline.write(null, { ctrl: true, name: "u" });
    prompt();
  });
  console.log(`What is published in ${answers.data}, read only. .help, or Ctrl-D to end.`);
  prompt();
  for await (const line of readline) {
    if (await session.take(line) === "end") break;
    isEnding = false;
    await keepHistory((readline as unknown as { readonly history: readonly string[] }).history);
    if (hasEnded) break;
    prompt();
  }
  readline.close();
  console.log("");
  return 0;
};

/** Newest first, as readline has it. */
async function readHistory(): Promise<string[]> {
  try {
    return (await Deno.readTextFile(HISTORY_FILE)).split("\n").filter((line) => line !== "").toReversed();
  } catch {
    return []; // there is none, or it can't be read: nothing that would keep anybody from asking
  }
}

async function keepHistory(newestFirst: readonly string[]): Promise<void> {
  const lines = newestFirst.slice(0, HISTORY_MAX).toReversed();
  await Deno.writeTextFile(HISTORY_FILE, lines.map((line) => `${line}\n`).join(""), { mode: 0o600 })
    .catch(() => {}); // no folder, or not ours
}

function text(result: Result, format: Format): string {
  switch (format) {
    case "table":
      return tableText(
        result,
        Deno.stdout.isTerminal() ? Deno.consoleSize().columns || TERMINAL_WIDTH : FILE_WIDTH,
      );
    case "csv":
      return csvText(result);
    case "json":
      return jsonText(result);
    case "markdown":
      return markdownText(result);
  }
}

function cutText(limit: number): string {
  return `only the first ${limit} rows: add LIMIT or WHERE to the query, or print more with --limit\n`;
}

function freshness(result: Result, publishedMs: number | null): string {
  const rows = `${result.rows.length} row${result.rows.length === 1 ? "" : "s"}`;
  if (publishedMs === null) return `${rows}\n`;
  const seconds = Math.max(0, machineClock.nowMs() - publishedMs) / 1_000;
  const age = seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
  return `${rows}, published ${age} ago\n`;
}

async function write(
  stream: { write(bytes: Uint8Array): Promise<number> },
  content: string,
): Promise<void> {
  const bytes = new TextEncoder().encode(content);
  for (let done = 0; done < bytes.length;) done += await stream.write(bytes.subarray(done));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
