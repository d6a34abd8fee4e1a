/**
 * DuckDB instances that fail on purpose: one statement from now on, before it is made or after it has done its work. A
 * fatal failure is followed by what DuckDB does then (1.5.5, seen with `strace --inject=fsync:error=EIO`): whatever is
 * asked of that instance fails, until the file is opened anew.
 *
 *     const duckdb = new FailingDuckdb();
 *     const store = await openStore({ …, createInstance: duckdb.create });
 *     duckdb.plan({ inStatements: 2, only: commits, when: "after", isFatal: true });
 */
import { DuckDBAppender, type DuckDBConnection, DuckDBInstance } from "@duckdb/node-api";
import type { CreateInstance } from "../duckdb/live.ts";

export interface StatementFailure {
  /** The so-manieth from now on fails (1: the next). */
  readonly inStatements: number;
  /** Counts only statements like this; default: all, and making appenders. */
  readonly only?: RegExp;
  readonly when: "before" | "after";
  readonly isFatal: boolean;
  readonly onFailed?: () => void;
}

/** What makes rows durable. */
export const commits = /^(COMMIT$|INSERT INTO journal_rows)/;

const FAILED = "IO Error: Could not write to the file: Input/output error (planned)";
const FATAL = "FATAL Error: fsync failed! (planned)";
const GIVEN_UP =
  "FATAL Error: Failed: database has been invalidated because of a previous fatal error (planned)";
/** Makes a call; a simulation lets it take its time. */
export type Around = <T>(call: () => Promise<T>) => Promise<T>;

const STATEMENTS: readonly (string | symbol)[] = ["run", "runAndReadAll", "createAppender"];

export class FailingDuckdb {
  readonly #around: Around;
  #failure: StatementFailure | null = null;
  #left = 0;

  /** `around` makes each call into DuckDB (default: at once). */
  constructor(around: Around = (call) => call()) {
    this.#around = around;
  }

  plan(failure: StatementFailure): void {
    this.#failure = failure;
    this.#left = failure.inStatements;
  }

  /** Nothing planned fails any more. */
  repair(): void {
    this.#failure = null;
  }

  /** For `StoreOptions.createInstance`. */
  readonly create: CreateInstance = async (path, options) => {
    const instance = await this.#around(() => DuckDBInstance.create(path, options));
    const state = { isGivenUp: false };
    return replaced(instance, {
      connect: async () => this.#failing(await this.#around(() => instance.connect()), state),
    });
  };

  #failing(connection: DuckDBConnection, state: { isGivenUp: boolean }): DuckDBConnection {
    const methods = STATEMENTS.map((name) => {
      const made = Reflect.get(connection, name) as (...args: unknown[]) => Promise<unknown>;
      const call = (...args: unknown[]) =>
        this.#statement(state, connection, String(args[0]), () => made.apply(connection, args));
      return [name, call];
    });
    // It fails when it is run.
    const prepare = async (sql: string) => {
      const statement = await connection.prepare(sql);
      return replaced(statement, {
        run: () => this.#statement(state, connection, sql, () => statement.run()),
      });
    };
    return replaced(connection, { ...Object.fromEntries(methods), prepare });
  }

  async #statement<T>(
    state: { isGivenUp: boolean },
    connection: DuckDBConnection,
    sql: string,
    make: () => Promise<T>,
  ): Promise<T> {
    if (state.isGivenUp) throw new Error(GIVEN_UP);
    const failure = this.#due(sql);
    if (failure === null) return await this.#around(make);
    if (failure.when === "after") letGo(await this.#around(make));
    // A healthy instance folds its log into the file when it is closed; one that was given up writes nothing any more.
    if (failure.isFatal) await connection.run("PRAGMA disable_checkpoint_on_shutdown");
    state.isGivenUp = failure.isFatal;
    failure.onFailed?.();
    throw new Error(failure.isFatal ? FATAL : FAILED);
  }

  /** The planned failure, if this statement is the one. Rolling back writes nothing and doesn't fail of the disk. */
  #due(sql: string): StatementFailure | null {
    const failure = this.#failure;
    if (failure === null || sql === "ROLLBACK" || failure.only?.test(sql) === false) return null;
    if (--this.#left > 0) return null;
    this.#failure = null;
    return failure;
  }
}

/** `target` with some of its methods replaced; the others keep their `this`. */
function replaced<T extends object>(target: T, methods: Readonly<Record<string, unknown>>): T {
  return new Proxy(target, {
    get(_, name) {
      if (typeof name === "string" && Object.hasOwn(methods, name)) return methods[name];
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** An appender that nobody gets would hold its instance open until it is collected. */
function letGo(made: unknown): void {
  if (made instanceof DuckDBAppender) made.closeSync();
}
