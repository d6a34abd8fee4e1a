/**
 * A program of this project as a process of its own, for tests that start, watch and kill it. Time and signals are the
 * machine's here, so that the tests themselves need neither.
 */
import { fileURLToPath } from "node:url";
import { machineClock } from "../clock.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface ProcessOptions {
  /** What stands after `deno`: flags, the file (relative to the repository), its arguments. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Ended {
  readonly code: number;
  readonly signal: string | null;
}

/** After its end, so long what it had written is read on. */
const lastWordsMs = 1_000;

/** A running process; leaving its `await using` block kills it. */
export class Process {
  readonly #child: Deno.ChildProcess;
  readonly #startedMs = machineClock.monotonicMs();
  readonly #waiting = new Set<() => void>();
  readonly ended: Promise<Ended>;
  /** Lines of both streams as they came, without colours. */
  readonly lines: string[] = [];
  #isRunning = true;
  readonly #stopReading = new AbortController();

  constructor(options: ProcessOptions) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...options.args],
      cwd: root,
      env: { NO_COLOR: "1", ...options.env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const read = [this.#read(this.#child.stdout), this.#read(this.#child.stderr)];
    this.ended = this.#child.status.then(async ({ code, signal }) => {
      this.#isRunning = false;
      // What it has started may outlive it and hold its streams: that must not hold us.
      const isOver = new AbortController();
      await Promise.race([Promise.all(read), machineClock.sleep(lastWordsMs, isOver.signal)]);
      isOver.abort();
      this.#stopReading.abort();
      await Promise.all(read);
      this.#wake();
      return { code, signal };
    });
  }

  get pid(): number {
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Everything that it has written. */
  get text(): string {
    return this.lines.join("\n");
  }

  /** Milliseconds since it was started. */
  get ageMs(): number {
    return machineClock.monotonicMs() - this.#startedMs;
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    const reader = stream.getReader();
    this.#stopReading.signal.addEventListener("abort", () => reader.cancel());
    const decoder = new TextDecoder();
    let rest = "";
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      const parts = (rest + decoder.decode(next.value, { stream: true })).split("\n");
      rest = parts.pop() ?? "";
      this.lines.push(...parts);
      this.#wake();
    }
    if (rest !== "") this.lines.push(rest);
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  /** The first line from line `from` on that matches; rejects with all output when it ends or `ms` pass without one. */
  async line(pattern: RegExp, ms = 20_000, from = 0): Promise<string> {
    const deadlineMs = machineClock.monotonicMs() + ms;
    for (;;) {
      const found = this.lines.slice(from).find((line) => pattern.test(line));
      if (found !== undefined) return found;
      const leftMs = deadlineMs - machineClock.monotonicMs();
      if (!this.#isRunning || leftMs <= 0) {
        const why = this.#isRunning ? `within ${ms} ms` : "before it ended";
        throw new Error(`no line matched ${pattern} ${why}; it wrote:\n${this.text}`);
      }
      await this.#change(leftMs);
    }
  }

  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        cancel();
        this.#waiting.delete(wake);
        resolve();
      };
      const cancel = machineClock.after(ms, wake);
      this.#waiting.add(wake);
    });
  }

  /** Waits for its end; rejects (and kills) when it takes longer than `ms`. */
  async end(ms = 30_000): Promise<Ended> {
    const ended = await Promise.race([this.ended, machineClock.sleep(ms).then(() => null)]);
    if (ended !== null) return ended;
    await this.#kill();
    throw new Error(`it did not end within ${ms} ms; it wrote:\n${this.text}`);
  }

  /** Sends a signal and waits for the end; rejects (and kills) when it takes longer than `ms`. */
  async stop(signal: Deno.Signal = "SIGINT", ms = 10_000): Promise<Ended & { readonly tookMs: number }> {
    const askedMs = machineClock.monotonicMs();
    if (this.#isRunning) this.#child.kill(signal);
    const ended = await this.end(ms);
    return { ...ended, tookMs: machineClock.monotonicMs() - askedMs };
  }

  async #kill(): Promise<void> {
    if (this.#isRunning) this.#child.kill("SIGKILL");
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kill();
  }
}

/** Starts `deno ARGS` in the repository's root. */
export function startProcess(args: readonly string[], env: Readonly<Record<string, string>> = {}): Process {
  return new Process({ args, env });
}

/**
 * What `deno task NAME` runs, without `deno`: the process that is started is then the program itself and not a shell
 * around it, so signals reach it, and it has the permissions that users give it.
 */
export async function taskArgs(name: string): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`)) as {
    readonly tasks: Readonly<Record<string, { readonly command: string }>>;
  };
  const [deno, ...args] = tasks[name]?.command.split(" ") ?? [];
  if (deno !== "deno") throw new Error(`the task ${name} is no plain deno command`);
  return args;
}

/** A free port of loopback. Another process may take it before it is used. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Asks `probe` every 50 ms until it gives something; rejects after `ms`. */
export async function until<T>(
  what: string,
  probe: () => Promise<T | null | false>,
  ms = 20_000,
): Promise<T> {
  const deadlineMs = machineClock.monotonicMs() + ms;
  for (;;) {
    const found = await probe();
    if (found !== null && found !== false) return found;
    if (machineClock.monotonicMs() > deadlineMs) throw new Error(`${what}: not within ${ms} ms`);
    await machineClock.sleep(50);
  }
}

/** A file of Linux's `/proc`, by `cat`: Deno itself opens these only with all permissions, which no task of ours has. */
export function procText(path: string): string {
  const { success, stdout } = new Deno.Command("cat", { args: [`/proc/${path}`] }).outputSync();
  if (!success) throw new Error(`/proc/${path} can't be read: has the process ended?`);
  return new TextDecoder().decode(stdout);
}

/** Highest resident memory of a process so far in bytes, or null where the system doesn't tell (only Linux does). */
export function peakMemoryOf(pid: number): number | null {
  if (Deno.build.os !== "linux") return null;
  const status = procText(`${pid}/status`);
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024;
}
