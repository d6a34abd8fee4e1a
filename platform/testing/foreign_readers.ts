/**
 * Python's `duckdb` and the `duckdb` command line, both from PyPI, put into `.cache/` at the first run, reading the
 * publications of `publishing.ts` in a loop.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { machineClock } from "../clock.ts";
import { assertTruth, truthSql } from "./published_truth.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const environment = `${root}.cache/duckdb-clients`;

/** The folder with `python` and `duckdb` in it. */
export async function foreignClients(): Promise<string> {
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

/** A foreign client that reads in a loop; every line that it finds is checked. */
export class ForeignReader {
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

/** Both clients, reading the publication of a data folder. */
export async function startForeignReaders(directory: string): Promise<readonly ForeignReader[]> {
  const bin = await foreignClients();
  const catalogue = `${directory}/published/catalogue.duckdb`;
  return [
    new ForeignReader("Python", `${bin}/python`, [catalogue, truthSql]),
    new ForeignReader("the command line", `${bin}/python`, [catalogue, truthSql, `${bin}/duckdb`]),
  ];
}
