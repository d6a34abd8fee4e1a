/**
 * A data folder and its log as a build leaves them, packed for `releases/`: half of a fleet's log read and published, the
 * rest still to be read. `deno task release:data VERSION` writes one; `dev/releases_test.ts` opens every one of them.
 */
import type { Clock } from "../../core/ports/clock.ts";
import type { Log } from "../../core/ports/log.ts";
import { machineClock } from "../../platform/clock.ts";
import { embeddedLogFile } from "../../platform/log_address.ts";
import { openSqliteLog } from "../../platform/sqlite_log.ts";
import { drawTape, publishLog } from "./tape.ts";

export const releasePartitions = 2;

/** What a release's rows were, beside its folder. */
export interface ReleaseFacts {
  readonly version: string;
  /** Of each partition: how far its rows went, and their digest there. */
  readonly published: readonly { readonly nextOffset: number; readonly rowDigest: string }[];
  /** Where the log ends. */
  readonly logEnds: readonly number[];
}

/** Makes rows of everything in the embedded log of `folder` up to now, and gives what is published. */
export async function readToEnd(folder: string): Promise<ReleaseFacts["published"]> {
  const log = await openLog(folder, machineClock);
  const published = await publishLog(log, await endsOf(log), folder);
  return published.map(({ nextOffset, rowDigest }) => ({ nextOffset, rowDigest }));
}

/** Opens the embedded log of a data folder. */
export function openLog(folder: string, clock: Clock): Promise<Log> {
  return openSqliteLog({ path: `${folder}/${embeddedLogFile}`, partitions: releasePartitions, clock });
}

/** Where each partition of the log ends. */
export function endsOf(log: Log): Promise<readonly number[]> {
  return Promise.all(
    Array.from({ length: releasePartitions }, async (_, at) => (await log.reader.range(at)).next),
  );
}

/** Writes `releases/VERSION/`. */
export async function writeRelease(version: string, releases: string): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-release-" });
  try {
    const tape = drawTape({ seed: 11, devices: 5, slotsPerDevice: 300, partitions: releasePartitions });
    // The embedded log stamps what it stores: its clock says what the tape says.
    let nowMs = 0;
    const clock: Clock = { ...machineClock, nowMs: () => nowMs };
    const append = async (records: typeof tape) => {
      const log = await openLog(folder, clock);
      for (const record of records) {
        nowMs = record.appendMs;
        await log.writer.append([record]);
      }
      const ends = await endsOf(log);
      await log.close();
      return ends;
    };
    const half = Math.floor(tape.length / 2);
    await append(tape.slice(0, half));
    const published = await readToEnd(folder);
    const logEnds = await append(tape.slice(half));
    const target = `${releases}/${version}`;
    await Deno.mkdir(target, { recursive: true });
    const facts: ReleaseFacts = { version, published, logEnds };
    await Deno.writeTextFile(`${target}/facts.json`, `${JSON.stringify(facts, null, 2)}\n`);
    const tar = ["--sort=name", "--owner=0", "--group=0", "-czf", `${target}/data.tar.gz`, "-C", folder, "."];
    const { success, stderr } = await new Deno.Command("tar", { args: tar }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const [version = ""] = Deno.args;
  if (!/^\d+\.\d+\.\d+$/.test(version)) {
    console.error(`the version is ${JSON.stringify(version)}: use for instance 1.2.0`);
    Deno.exit(2);
  }
  await writeRelease(version, decodeURIComponent(new URL("../../releases", import.meta.url).pathname));
}
