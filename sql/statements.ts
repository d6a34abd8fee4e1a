/** Where statements end in what somebody types: at a semicolon that stands in no text, name or comment. Pure. */

export interface Typed {
  /** Whole statements without their semicolons; empty ones are left out. */
  readonly statements: readonly string[];
  /** What has no semicolon yet. */
  readonly rest: string;
}

/** One part in which semicolons mean nothing, ended or not; else a semicolon; else anything. */
const part =
  /'(?:[^']|'')*(?:'|$)|"(?:[^"]|"")*(?:"|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|\$\$[\s\S]*?(?:\$\$|$)|;|[^]/g;

export function statementsOf(text: string): Typed {
  const statements: string[] = [];
  let rest = "";
  for (const [token] of text.matchAll(part)) {
    if (token !== ";") rest += token;
    else {
      if (!isEmpty(rest)) statements.push(rest.trim());
      rest = "";
    }
  }
  return { statements, rest: isEmpty(rest) ? "" : rest };
}

/** Nothing but blanks and comments. */
const isEmpty = (sql: string) => /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*$/.test(sql);
