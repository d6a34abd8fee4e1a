/** What every release has written, this build opens, reads, and goes on with. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { askNumber, readManifest } from "../platform/testing/published.ts";
import { machineClock } from "../platform/clock.ts";
import { endsOf, openLog, readToEnd, type ReleaseFacts } from "./testing/release_data.ts";

const releases = decodeURIComponent(new URL("../releases", import.meta.url).pathname);
const versions = [...Deno.readDirSync(releases)].filter(({ isDirectory }) => isDirectory).map(({ name }) =>
  name
);

Deno.test("there is a release to open", () => ok(versions.length > 0));

for (const version of versions) {
  Deno.test(`the data folder and the log of ${version} open: rows are there, and the rest of the log gives those of a new folder`, async () => {
    const facts: ReleaseFacts = JSON.parse(await Deno.readTextFile(`${releases}/${version}/facts.json`));
    equal(facts.version, version);
    const folder = await Deno.makeTempDir({ prefix: "isotherm-release-" });
    const anew = await Deno.makeTempDir({ prefix: "isotherm-release-" });
    try {
      const unpack = ["-xzf", `${releases}/${version}/data.tar.gz`, "-C", folder];
      ok((await new Deno.Command("tar", { args: unpack }).output()).success);

      // What was published. (Its catalogue names the folder that it was made in.)
      const manifest = await readManifest(folder);
      const published = (manifest?.partitions ?? []).map(({ nextOffset, rowDigest }) => ({
        nextOffset,
        rowDigest,
      }));
      deepEqual(published, facts.published);

      // The log, and rows on top of those of the release.
      const log = await openLog(folder, machineClock);
      deepEqual(await endsOf(log), facts.logEnds);
      await log.close();
      await Deno.copyFile(`${folder}/log.sqlite`, `${anew}/log.sqlite`);
      const after = await readToEnd(folder);
      deepEqual(after.map(({ nextOffset }) => nextOffset), facts.logEnds);
      ok(after.every(({ rowDigest }, at) => rowDigest !== facts.published[at]?.rowDigest));
      deepEqual(after, await readToEnd(anew));
      for (
        const view of ["windows", "windows_live", "readings", "ledger_slots", "ledger_arrivals", "devices"]
      ) {
        ok(await askNumber(folder, `SELECT count(*) FROM ${view}`) > 0, view);
      }
      const unbalanced = "slots <> counted + counted_late + quarantined + sensor_fault + lost + missing";
      equal(await askNumber(folder, `SELECT count(*) FROM ledger_slots WHERE ${unbalanced}`), 0);
      ok(
        await askNumber(folder, "SELECT count(*) FROM windows") ===
          await askNumber(anew, "SELECT count(*) FROM windows"),
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
      await Deno.remove(anew, { recursive: true });
    }
  });
}
