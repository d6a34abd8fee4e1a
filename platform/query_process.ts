/**
 * Anybody's SQL, each query in a process of its own (`query_child.ts`).
 *
 * Why a process: inside a service it can't be made safe. Under DuckDB's own memory limit `unnest(range(1000000000))` was
 * measured to ignore an interrupt and to take 8.2 GB, `repeat('x', 2000000000)` 3.9 GB. So the operating system holds
 * the memory, and a kill ends what does not end by itself.
 *
 * The limits are set by `sh` and its `ulimit` before Deno starts: `-d` (private memory that may be written; on Linux this
 * includes what is mapped, and unlike `-v` it leaves V8 its reservations of addresses), `-f 0` (no file grows: whatever
 * SQL finds to write, nothing is written), `-t` (processor seconds, if a kill should ever fail), `-c 0` (no core dump).
 *
 * One process waits, started and without a query: it hides the 0.3 s that starting takes.
 */
import type { SqlBounds, SqlEvent, SqlFile, SqlRunner } from "../core/ports/published.ts";
import type { Clock } from "../core/ports/clock.ts";
import { dataPaths } from "./duckdb/published.ts";
import type { ChildRequest } from "./query_child.ts";

/** Bounds of the processes together and of each. */
export const queryProcessLimits = {
  /** Queries at one time; one more is refused with a sentence. */
  runningMax: 3,
  /** Private memory of one process. Deno and DuckDB take 90 MB of it with an empty result. */
  memoryBytesMax: 900_000_000,
  /** Text of one query. */
  sqlLengthMax: 20_000,
} as const;

export interface QueryProcessOptions {
  /** The data folder. */
  readonly data: string;
  readonly clock: Clock;
  /** For files on their way to a reader. */
  readonly temporaryFolder?: string;
}

type Child = Deno.ChildProcess;

export function createQueryProcesses(options: QueryProcessOptions): SqlRunner {
  const { clock } = options;
  const { published } = dataPaths(options.data, 0);
  const running = new Set<Child>();
  let spare: Child | null = null;
  let closed = false;

  const kill = (child: Child) => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
  };
  const prepare = () => {
    if (closed || spare !== null) return;
    const child = start(false);
    spare = child;
    child.status.then(() => {
      if (spare === child) spare = null; // it could not start: the next query starts its own and tells why
    });
  };
  const take = (): Child => {
    const child = spare ?? start(false);
    spare = null;
    return child;
  };

  return {
    async *run(sql, bounds, signal) {
      if (sql.length > queryProcessLimits.sqlLengthMax) {
        yield refused(`The query is longer than ${queryProcessLimits.sqlLengthMax} characters.`);
        return;
      }
      if (running.size >= queryProcessLimits.runningMax) {
        yield refused(`${running.size} queries are running already: wait for one, or cancel it.`);
        return;
      }
      const child = take();
      running.add(child);
      let ended: "deadline" | "cancelled" | null = null;
      const end = (why: "deadline" | "cancelled") => {
        ended ??= why;
        kill(child);
      };
      const cancelDeadline = clock.after(bounds.deadlineMs, () => end("deadline"));
      const onAbort = () => end("cancelled");
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
      try {
        const { rowsMax, bytesMax } = bounds;
        yield* eventsOf(child, { published, sql, rowsMax, bytesMax, file: null }, () => ended, bounds);
      } finally {
        cancelDeadline();
        signal.removeEventListener("abort", onAbort);
        kill(child);
        await child.status;
        running.delete(child);
        prepare();
      }
    },

    async file(sql, format, deadlineMs) {
      const folder = await Deno.makeTempDir({
        prefix: "isotherm-",
        ...options.temporaryFolder === undefined ? {} : { dir: options.temporaryFolder },
      });
      const path = `${folder}/rows.${format}`;
      const remove = () => Deno.remove(folder, { recursive: true }).catch(() => {});
      const child = start(true);
      running.add(child);
      let ended: "deadline" | null = null;
      const cancelDeadline = clock.after(deadlineMs, () => {
        ended = "deadline";
        kill(child);
      });
      try {
        const bounds = { rowsMax: 0, bytesMax: 0, deadlineMs };
        const request = { published, sql, rowsMax: 0, bytesMax: 0, file: { path, format } };
        for await (const event of eventsOf(child, request, () => ended, bounds)) {
          if (event.kind === "error") throw new Error(event.message);
        }
        return await fileStream(path, remove);
      } catch (error) {
        await remove();
        throw error;
      } finally {
        cancelDeadline();
        kill(child);
        await child.status;
        running.delete(child);
      }
    },

    async close() {
      closed = true;
      const all = [...running, ...spare === null ? [] : [spare]];
      spare = null;
      for (const child of all) kill(child);
      await Promise.all(all.map((child) => child.status));
    },
  };
}

const refused = (message: string): SqlEvent => ({ kind: "error", message });

/** What Deno needs to find its cache; nothing of ours, keys above all. */
const environment = ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR"]
  .map((name) => `\${${name}:+"${name}=$${name}"}`).join(" ");

/** Starts a process that waits for its request; one that writes a file may let it grow to 2 GB. */
function start(writesFile: boolean): Child {
  const script = new URL("./query_child.ts", import.meta.url);
  const args = [
    "run",
    "--quiet",
    "--no-prompt",
    "--cached-only",
    "--allow-read",
    "--allow-ffi",
    "--allow-env",
    "--allow-sys",
    ...writesFile ? ["--allow-write"] : [],
    script.href,
  ];
  const kilobytes = Math.floor(queryProcessLimits.memoryBytesMax / 1024);
  const limits = `trap '' XFSZ; ulimit -c 0 -S; ulimit -d ${kilobytes} 2>/dev/null; ulimit -f ${
    writesFile ? 4_194_304 : 0
  }; ulimit -t 120`;
  return new Deno.Command("sh", {
    args: ["-c", `${limits}; exec env -i ${environment} "$0" "$@"`, Deno.execPath(), ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
}

async function* eventsOf(
  child: Child,
  request: ChildRequest,
  ended: () => "deadline" | "cancelled" | null,
  bounds: SqlBounds,
): AsyncGenerator<SqlEvent> {
  let last: SqlEvent | null = null;
  try {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`${JSON.stringify(request)}\n`));
    for await (const line of linesOf(child.stdout)) {
      last = JSON.parse(line) as SqlEvent;
      yield last;
      if (last.kind === "end" || last.kind === "error") return;
    }
  } catch (error) {
    if (ended() === null && !(error instanceof Deno.errors.BrokenPipe) && !(error instanceof TypeError)) {
      throw error;
    }
  }
  yield refused(sentenceOf(ended(), bounds));
}

function sentenceOf(ended: "deadline" | "cancelled" | null, { deadlineMs }: SqlBounds): string {
  switch (ended) {
    case "deadline":
      return `The query was ended after ${
        deadlineMs / 1000
      } s: ask for less, for instance with WHERE or LIMIT.`;
    case "cancelled":
      return "The query was cancelled.";
    case null:
      return "The query needed more memory than it may have, and was ended: ask for less, for instance with WHERE or LIMIT.";
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() as string;
    yield* lines;
  }
}

/** The file's bytes; `done` is called at the end, on cancelling and on failure. */
async function fileStream(path: string, done: () => void): Promise<ReadableStream<Uint8Array>> {
  const file = await Deno.open(path);
  const reader = file.readable.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done: atEnd, value } = await reader.read();
        if (!atEnd) return controller.enqueue(value);
        done();
        controller.close();
      } catch (error) {
        done();
        controller.error(error);
      }
    },
    async cancel() {
      await reader.cancel();
      done();
    },
  });
}

export type { SqlFile };
