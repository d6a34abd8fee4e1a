import assert from "node:assert/strict";
import { Catalogue } from "./reader.ts";
import { Process, procText } from "../testing/process.ts";

/** A full disk is played by a limit on the size of files, which needs no rights. */
const reason = Deno.build.os === "linux" ? null : "limits of another process can be set on Linux only";

for (const what of ["commit", "publish"] as const) {
  Deno.test({
    name:
      `a disk that is full while it should ${what} is told, keeps nothing of it, and is gone on from by itself`,
    ignore: reason !== null,
    async fn() {
      const directory = await Deno.makeTempDir({ prefix: "isotherm-full-" });
      try {
        const program =
          `exec "${Deno.execPath()}" run -A platform/testing/full_disk_child.ts "${directory}" ${what}`;
        await using child = new Process({
          args: [
            "eval",
            `const args = ["-c", ${JSON.stringify(`trap '' XFSZ; ${program}`)}];
             Deno.exit((await new Deno.Command("sh", { args }).spawn().status).code);`,
          ],
        });
        await child.line(/^ready/, 60_000);
        // Less than the live file has already, or less than a segment needs.
        await limitFiles(child.pid, what === "commit" ? 100_000 : 20_000);
        const refusal = await child.line(/^refused: /, 60_000);
        // DuckDB names the limit, or the checkpoint that failed of it.
        assert.match(refusal, /^refused: (committing|publishing): .*(file too large|CHECKPOINT)/i);
        await child.line(/^still refused/, 60_000);
        await limitFiles(child.pid, null);
        await child.line(/^works again after \d+ failures, \d+ published$/, 60_000);
        assert.equal((await child.ended).code, 0, child.text);
        const catalogue = await Catalogue.open(directory);
        const { rows } = await catalogue.query(
          "SELECT count(*) = (SELECT next_offset FROM log_position), count(*) = count(DISTINCT seq) FROM readings",
          1,
        );
        catalogue.close();
        assert.deepEqual(rows, [[true, true]]);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  });
}

/** Sets how large files of the process that `parent` has started may become; null: any size. */
async function limitFiles(parent: number, bytes: number | null): Promise<void> {
  const children = procText(`${parent}/task/${parent}/children`);
  const limit = `--fsize=${bytes ?? "unlimited"}:unlimited`;
  for (const pid of children.trim().split(" ")) {
    const { success } = await new Deno.Command("prlimit", { args: ["--pid", pid, limit] }).output();
    assert.ok(success, `prlimit ${pid}`);
  }
}
