/**
 * The wires in other people's programs: sigrok's decoder of this very sensor (PulseView shows what it finds), and
 * GTKWave's reader.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { offline, steps } from "./testing/offline.ts";
import { readVcd } from "./testing/vcd.ts";

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { encoding: "utf8", timeout: 60_000 });

/** Runs a scenario of these steps and hands over the file with its wires. */
async function withWires(lines: readonly string[], test: (file: string, vcd: string) => void): Promise<void> {
  const { vcd, verdict } = await offline(steps(...lines));
  assert.equal(verdict.kind, "passed");
  assert.ok(vcd !== null);
  const folder = mkdtempSync(`${tmpdir()}/isotherm-wires-`);
  try {
    writeFileSync(`${folder}/wires.vcd`, vcd);
    test(`${folder}/wires.vcd`, vcd);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What sigrok's decoder says of the exchanges on D0, without its bits. A sample each microsecond is enough. */
function decoded(file: string): string[] {
  const args = ["-I", "vcd:downsample=1000", "-i", file, "-P", "am230x:sda=D0:device=am230x", "-A", "am230x"];
  return run("sigrok-cli", ...args).split("\n").map((line) => line.replace(/^am230x-1: /, ""))
    .filter((line) => /^(Humidity|Temperature|Checksum)/.test(line));
}

Deno.test("sigrok's decoder reads what the air was like", async () => {
  const lines = [
    `wait-serial: '"temperature_c":21.5,"humidity_pct":48.2,'`,
    "set-control: { part-id: dht, name: temperature, value: -10.1 }",
    "set-control: { part-id: dht, name: humidity, value: 99.9 }",
    `wait-serial: '"temperature_c":-10.1,"humidity_pct":99.9,'`,
    "delay: 1s",
  ];
  await withWires(lines, (file) => {
    assert.deepEqual(decoded(file), [
      "Humidity: 48.2 %",
      "Temperature: 21.5 °C",
      "Checksum: OK",
      "Humidity: 99.9 %",
      "Temperature: -10.1 °C",
      "Checksum: OK",
    ]);
  });
});

Deno.test("sigrok's decoder finds the wrong checksum", async () => {
  const lines = [
    "set-control: { part-id: dht, name: fault, value: 2 }",
    `wait-serial: '"error":"checksum"'`,
    "delay: 1s",
  ];
  await withWires(lines, (file) => {
    const said = decoded(file);
    assert.ok(said.some((line) => line.startsWith("Checksum: ") && line !== "Checksum: OK"), said.join("; "));
    assert.ok(!said.includes("Checksum: OK"));
  });
});

Deno.test("GTKWave's reader takes every change", async () => {
  await withWires([`wait-serial: '"seq":1,'`, "delay: 1s"], (file, vcd) => {
    const fst = file.replace(/vcd$/, "fst");
    run("vcd2fst", file, fst);
    const again = readVcd(run("fst2vcd", fst)).get("D0") ?? [];
    assert.ok(again.length > 160, `${again.length} changes`);
    assert.deepEqual(again, readVcd(vcd).get("D0"));
  });
});
