/**
 * Questions one after the other: what is typed becomes statements, each is answered from the newest publication. The
 * terminal itself stands in `main.ts`; here are its lines, so that a pipe is answered in the same way.
 */
import { tableText } from "./layout.ts";
import { type Format, formats } from "./options.ts";
import { statementsOf } from "./statements.ts";

export interface SessionPorts {
  /** Answers one statement; prints what comes of it, errors too. False if it failed. */
  answer(sql: string, format: Format, limit: number): Promise<boolean>;
  /** Views and their comments. */
  views(): Promise<readonly (readonly [name: string, comment: string])[]>;
  print(text: string): Promise<void>;
}

export interface Session {
  /** Takes one line; resolves when it is answered. "end": nothing more is wanted. */
  take(line: string): Promise<"more" | "end">;
  /** A statement has been begun and not ended. */
  readonly isOpen: boolean;
  /** Forgets what was begun. */
  drop(): void;
  /** The lines are over: what has no semicolon is answered as well. */
  finish(): Promise<void>;
  /** A statement failed. */
  readonly hasFailed: boolean;
}

export const sessionHelp =
  `A statement ends with a semicolon and may have several lines. Besides SQL there are
  .views           what can be asked for
  .format FORMAT   ${formats.join(", ")}
  .limit N         rows printed at most
  .exit            or Ctrl-D
Ctrl-C ends a query, or drops what was typed; Tab completes names; the arrows go through what was asked before.
`;

export function createSession(
  ports: SessionPorts,
  start: { readonly format: Format; readonly limit: number },
): Session {
  let { format, limit } = start;
  let typed = "";
  let hasFailed = false;

  const ask = async (sql: string) => {
    if (!await ports.answer(sql, format, limit)) hasFailed = true;
  };
  const command = async (line: string): Promise<"more" | "end"> => {
    const [word = "", value = ""] = line.trim().split(/\s+/);
    switch (word) {
      case ".exit":
      case ".quit":
        return "end";
      case ".views": {
        const rows = await ports.views();
        const columns = [{ name: "view", isNumber: false }, { name: "a row is", isNumber: false }];
        await ports.print(
          rows.length === 0 ? "nothing is published yet\n" : tableText({ columns, rows }, 160),
        );
        return "more";
      }
      case ".format": {
        const found = formats.find((each) => each === value);
        if (found === undefined) await ports.print(`.format takes ${formats.join(", ")}\n`);
        else format = found;
        return "more";
      }
      case ".limit":
        if (/^[1-9]\d{0,6}$/.test(value)) limit = Number(value);
        else await ports.print(".limit takes a whole number from 1 to 9999999\n");
        return "more";
      default:
        await ports.print(sessionHelp);
        return "more";
    }
  };

  return {
    async take(line) {
      if (typed === "" && /^\s*\./.test(line)) return await command(line);
      const { statements, rest } = statementsOf(`${typed}${line}\n`);
      typed = rest;
      for (const sql of statements) await ask(sql);
      return "more";
    },
    get isOpen() {
      return typed !== "";
    },
    drop: () => void (typed = ""),
    async finish() {
      const sql = typed.trim();
      typed = "";
      if (sql !== "") await ask(sql);
    },
    get hasFailed() {
      return hasFailed;
    },
  };
}

/** Names that begin as the last word of `line` does, for completion: [what fits, the word]. */
export function completionsOf(line: string, names: readonly string[]): [string[], string] {
  const word = /[A-Za-z_][A-Za-z0-9_]*$/.exec(line)?.[0] ?? "";
  if (word === "") return [[], ""];
  const begins = word.toLowerCase();
  return [names.filter((name) => name.toLowerCase().startsWith(begins)).toSorted(), word];
}
