/**
 * Foreign clients in a loop while the pipeline writes. `ISOTHERM_SOAK_SECONDS` makes it longer than a minute
 * (`deno task soak:readers`: ten).
 */
import assert from "node:assert/strict";
import { machineClock } from "../clock.ts";
import { foreignClients, startForeignReaders } from "../testing/foreign_readers.ts";
import { Process } from "../testing/process.ts";

const seconds = Number(Deno.env.get("ISOTHERM_SOAK_SECONDS") ?? "60");

Deno.test(`Python and the command line read for ${seconds} s while it writes and never meet a lock, a missing file, a torn row or a double count`, async () => {
  await foreignClients();
  const directory = await Deno.makeTempDir({ prefix: "isotherm-readers-" });
  try {
    await using writer = new Process({ args: ["run", "-A", "platform/testing/publish_child.ts", directory] });
    await writer.line(/^published/);
    const readers = await startForeignReaders(directory);
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
