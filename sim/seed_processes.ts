/**
 * Seeds shared by several processes. Each takes the next seed when it is done with one, and what came of them is handed
 * on in the order of the seeds, so that what is printed does not tell how many there were.
 */
import { fileURLToPath } from "node:url";
import { machineClock } from "../platform/clock.ts";
import type { SimOptions } from "./options.ts";
import type { SeedResult } from "./seed_run.ts";

/** Runs one seed at a time. */
export interface SeedRunner {
  /** Rejects if the runner has ended: it runs no other seed. */
  run(seed: number): Promise<SeedResult>;
  close(): Promise<void>;
}

/** Seeds that may be done before an earlier one is: their results wait. */
const AHEAD_MAX = 100;
/** Runners that end one after the other without a result: the others would too. */
const ENDS_IN_A_ROW_MAX = 3;

/** Seeds are left that nobody can run. */
export class SeedsNotRun extends Error {
  override name = "SeedsNotRun";

  constructor(readonly fromSeed: number, readonly toSeed: number) {
    super(
      `seeds ${fromSeed} to ${toSeed} were not run: ${ENDS_IN_A_ROW_MAX} processes ended one after the other, see above`,
    );
  }

  /** How many. */
  get seeds(): number {
    return this.toSeed - this.fromSeed + 1;
  }
}

/**
 * What came of each seed, in their order. A runner that ends is a violation of the seed that it had, and another takes its
 * place. Throws {@link SeedsNotRun} when that has happened three times in a row.
 */
export async function* inOrder(
  { fromSeed, toSeed }: Pick<SimOptions, "fromSeed" | "toSeed">,
  runners: number,
  open: () => SeedRunner,
  repeatOf: (seed: number) => string,
): AsyncGenerator<SeedResult> {
  const done = new Map<number, SeedResult>();
  const running = new Set<SeedRunner>();
  let next = fromSeed;
  let shown = fromSeed;
  let endsInARow = 0;
  let working = Math.min(runners, toSeed - fromSeed + 1);
  let changed = Promise.withResolvers<void>();
  const change = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  /** Gives the runner for the next seed, null if it has ended. */
  const runOne = async (known: SeedRunner | null, seed: number): Promise<SeedRunner | null> => {
    let runner = known;
    try {
      running.add(runner ??= open());
      done.set(seed, await runner.run(seed));
      endsInARow = 0;
      return runner;
    } catch (error) {
      done.set(seed, lost(seed, error, repeatOf(seed)));
      endsInARow++;
      if (runner !== null) running.delete(runner);
      await runner?.close();
      return null;
    }
  };
  const work = async () => {
    let runner: SeedRunner | null = null;
    while (next <= toSeed && endsInARow < ENDS_IN_A_ROW_MAX) {
      if (next - shown >= AHEAD_MAX) {
        await changed.promise;
        continue;
      }
      runner = await runOne(runner, next++);
      change();
    }
    working--;
    change();
  };
  const all = Array.from({ length: working }, work);
  try {
    while (shown <= toSeed) {
      const result = done.get(shown);
      if (result !== undefined) {
        done.delete(shown++);
        change();
        yield result;
      } else if (working === 0) throw new SeedsNotRun(shown, toSeed);
      else await changed.promise;
    }
  } finally {
    // If nobody wants more: what is under way is ended.
    next = toSeed + 1;
    change();
    await Promise.all([...running].map((runner) => runner.close()));
    await Promise.all(all);
  }
}

function lost(seed: number, error: unknown, repeat: string): SeedResult {
  return {
    ...{ seed, digest: "", events: 0, records: 0, virtualMs: 0, incidents: {}, outcomes: {}, pauses: 0 },
    violation: error instanceof Error ? error.message : String(error),
    repeat,
  };
}

/** What a run may do; the task's own, without starting others. */
const PERMISSIONS = [
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-env",
  "--allow-ffi",
  "--allow-sys",
];
/** Of what a process has said on its standard error, so many characters are told if it ends. */
const WORDS_MAX = 2_000;
/** Who has not ended so long after there was nothing more to do is killed. */
const CLOSE_MS = 10_000;

/** A process that runs seeds: `seed_child.ts`. It ends when this process does, however that happens: its input ends then. */
export class SeedProcess implements SeedRunner {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #ended: Promise<Error>;
  readonly #folder: string;
  #answer: PromiseWithResolvers<SeedResult> | null = null;
  #words = "";

  constructor(options: SimOptions) {
    this.#folder = Deno.makeTempDirSync({ prefix: "isotherm-sim-" });
    const file = fileURLToPath(new URL("./seed_child.ts", import.meta.url));
    this.#child = new Deno.Command("deno", {
      args: ["run", ...PERMISSIONS, file, JSON.stringify(options), this.#folder],
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    const read = Promise.all([this.#readResults(), this.#readWords()]);
    this.#ended = this.#child.status.then(async ({ code, signal }) => {
      await read;
      const words = this.#words.trim();
      const how = signal === null ? `with status ${code}` : `by ${signal}`;
      return new Error(`the process that ran it ended ${how}${words === "" ? "" : `: ${words}`}`);
    });
  }

  async run(seed: number): Promise<SeedResult> {
    const answer = this.#answer = Promise.withResolvers<SeedResult>();
    // A process that has ended takes nothing: its end says more.
    await this.#input.write(new TextEncoder().encode(`${seed}\n`)).catch(() => {});
    void this.#ended.then((error) => answer.reject(error));
    return await answer.promise;
  }

  async close(): Promise<void> {
    await this.#input.close().catch(() => {});
    const cancel = machineClock.after(CLOSE_MS, () => this.#child.kill("SIGKILL"));
    await this.#ended;
    cancel();
    await Deno.remove(this.#folder, { recursive: true }).catch(() => {});
  }

  async #readResults(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#answer?.resolve(JSON.parse(line) as SeedResult);
    }
  }

  async #readWords(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.#words = (this.#words + text).slice(-WORDS_MAX);
    }
  }
}
