import assert from "node:assert/strict";
import { dataPaths, readRecords } from "./published.ts";
import { Catalogue } from "./reader.ts";
import { openStore } from "./store.ts";
import { sha256OfFile } from "../durable_files.ts";
import { machineClock } from "../clock.ts";
import { machineRandom } from "../random.ts";
import { below } from "../../core/ports/random.ts";
import { Process } from "../testing/process.ts";
import { assertTruth, truthSql } from "../testing/published_truth.ts";

/** Kills in this test; the soak raises it. */
const kills = Number(Deno.env.get("ISOTHERM_SOAK_KILLS") ?? "2");

/** Opens the catalogue anew and asks; each time whole and true. */
async function askOnce(directory: string): Promise<number> {
  const catalogue = await Catalogue.open(directory);
  try {
    const { rows } = await catalogue.query(truthSql, 2);
    return assertTruth(rows[0]!.map(Number));
  } finally {
    catalogue.close();
  }
}

const numberOf = (line: string | undefined) => Number(line?.split(" ")[1] ?? 0);

Deno.test("kills at any moment lose nothing that was committed, tear nothing that is read, and count nothing twice", async () => {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-crash-" });
  try {
    let committed = 0;
    let published = 0;
    let reads = 0;
    for (let kill = 0; kill < kills; kill++) {
      await using child = new Process({
        args: [
          "run",
          "-A",
          "platform/testing/publish_child.ts",
          directory,
          ...kill % 2 === 0 ? [] : ["seals"],
        ],
      });
      await child.line(/^published/);
      // Read while it writes, then kill it at a random moment of the next publications.
      for (let read = 0; read < 2; read++, reads++) {
        const seen = await askOnce(directory);
        assert.ok(seen >= published, "a reader never goes back");
        published = seen;
      }
      await machineClock.sleep(below(machineRandom, 120));
      Deno.kill(child.pid, "SIGKILL");
      await child.ended;
      const acknowledged = Math.max(
        ...child.lines.filter((line) => line.startsWith("committed")).map(numberOf),
      );
      const seen = await askOnce(directory);
      assert.ok(
        seen >= Math.max(...child.lines.filter((line) => line.startsWith("published")).map(numberOf)),
      );
      const store = await openStore({ directory, partition: 0, retentionMs: 30 * 86_400_000 });
      const { position } = await store.load(() => Number.MAX_SAFE_INTEGER);
      await store.close();
      assert.ok(position !== null && position.nextOffset >= acknowledged, "what was acknowledged is there");
      assert.ok(position.nextOffset >= committed, "and stays there");
      committed = position.nextOffset;
      published = seen;
    }
    const record = (await readRecords(dataPaths(directory, 0))).get(0)!;
    for (const { path, sha256 } of record.segments) {
      assert.equal(await sha256OfFile(`${directory}/published/${path}`), sha256);
    }
    console.log(`  ${kills} kills, ${reads} reads meanwhile, ${committed} records`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
