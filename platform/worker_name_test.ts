import assert from "node:assert/strict";
import { seededRandom } from "../sim/random.ts";
import { Process } from "./testing/process.ts";
import { holdWorkerName } from "./worker_name.ts";

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-worker-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a worker has the same name after a restart, and another folder's has another", async () => {
  await withFolder(async (folder) => {
    const random = seededRandom(1);
    const first = await holdWorkerName(`${folder}/new/data`, random);
    first.release();
    const again = await holdWorkerName(`${folder}/new/data`, random);
    again.release();
    assert.equal(again.name, first.name);
    const other = await holdWorkerName(`${folder}/other`, random);
    other.release();
    assert.notEqual(other.name, first.name);
  });
});

Deno.test("a name that was cut short is drawn anew", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/worker`, "worker-12");
    const { name, release } = await holdWorkerName(folder, seededRandom(1));
    release();
    assert.match(name, /^worker-[0-9a-f]{8}$/);
    assert.equal(await Deno.readTextFile(`${folder}/worker`), `${name}\n`);
  });
});

Deno.test("a second living process on the folder has a name of its own, and gets the kept one when the first is killed", async () => {
  await withFolder(async (folder) => {
    const code = `import { holdWorkerName } from "./platform/worker_name.ts";
      console.log((await holdWorkerName(${JSON.stringify(folder)}, { uint32: () => 1 })).name);
      setInterval(() => {}, 1_000);`;
    await using first = new Process({ args: ["eval", code] });
    assert.equal(await first.line(/^worker-/), "worker-00000001");
    const second = await holdWorkerName(folder, seededRandom(2));
    second.release();
    assert.notEqual(second.name, "worker-00000001");
    await first.stop("SIGKILL");
    const third = await holdWorkerName(folder, seededRandom(3));
    third.release();
    assert.equal(third.name, "worker-00000001");
  });
});
