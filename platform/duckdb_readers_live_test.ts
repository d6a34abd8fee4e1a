/**
 * Foreign clients in a loop while the pipeline writes: Python's `duckdb` and the `duckdb` command line, both from PyPI,
 * put into `.cache/` at the first run. `ISOTHERM_SOAK_SECONDS` makes it longer than a minute.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { machineClock } from "./clock.ts";
import { Process } from "./testing/process.ts";
import { assertTruth, truthSql } from "./testing/published_truth.ts";

const seconds = Number(Deno.env.get("ISOTHERM_SOAK_SECONDS") ?? "60");
const root = fileURLToPath(new URL("../", import.meta.url));
const environment = `${root}.cache/duckdb-clients`;

/** The folder with `python` and `duckdb` in it. */
async function clients(): Promise<string> {
  const bin = `${environment}/bin`;
  const run = async (command: string, ...args: string[]) => {
    const { success, stderr } = await new Deno.Command(command, { args }).output();
    if (!success) throw new Error(`${command} ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
  };
  const isThere = await Deno.stat(`${bin}/duckdb`).then(() => true, () => false);
  if (!isThere) {
    await run("python3", "-m", "venv", environment);
    await run(`${bin}/pip`, "install", "--quiet", "duckdb==1.5.5", "duckdb-cli==1.5.6");
  }
  return bin;
}

class Reader {
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;
  reads = 0;
  position = 0;
  error: unknown = null;

  constructor(readonly name: string, python: string, args: readonly string[]) {
    this.#child = new Deno.Command(python, {
      args: [`${root}platform/testing/read_forever.py`, ...args],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#read = this.#check().catch((error) => {
      this.error = error;
    });
  }

  async #check(): Promise<void> {
    let rest = "";
    for await (
      const text of this.#child.stdout.pipeThrough(
        new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
      )
    ) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const position = assertTruth(line.split(" ").map(Number));
        assert.ok(position >= this.position, "a reader never goes back");
        this.position = position;
        this.reads++;
      }
    }
  }

  /** Ends it; it must still have been running. */
  async stop(): Promise<void> {
    const ended = await Promise.race([this.#child.status, machineClock.sleep(0).then(() => null)]);
    if (ended === null) this.#child.kill("SIGKILL");
    await this.#child.status;
    await this.#read;
    if (this.error !== null) throw this.error;
    assert.equal(ended, null, `${this.name} ended by itself`);
  }
}

Deno.test(`Python and the command line read for ${seconds} s while it writes and never meet a lock, a missing file, a torn row or a double count`, async () => {
  const bin = await clients();
  const directory = await Deno.makeTempDir({ prefix: "isotherm-readers-" });
  try {
    await using writer = new Process({ args: ["run", "-A", "platform/testing/publish_child.ts", directory] });
    await writer.line(/^published/);
    const catalogue = `${directory}/published/catalogue.duckdb`;
    const readers = [
      new Reader("Python", `${bin}/python`, [catalogue, truthSql]),
      new Reader("the command line", `${bin}/python`, [catalogue, truthSql, `${bin}/duckdb`]),
    ];
    const endMs = machineClock.monotonicMs() + seconds * 1_000;
    while (machineClock.monotonicMs() < endMs && writer.isRunning) await machineClock.sleep(200);
    assert.ok(writer.isRunning, writer.text);
    for (const reader of readers) await reader.stop();
    const text = readers.map(({ name, reads }) => `${name} ${reads} times`).join(", ");
    console.log(`  read by ${text}; ${readers[0]!.position} records published meanwhile`);
    for (const { name, reads } of readers) assert.ok(reads > seconds / 10, `${name} read ${reads} times`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
