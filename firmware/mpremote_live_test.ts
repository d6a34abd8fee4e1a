/**
 * The commands of the README, with the real mpremote (PyPI) on a board behind a pseudo-terminal: a new board gets the
 * firmware, runs it, and is looked into.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { loadFirmware } from "../sim/board/firmware.ts";

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const MPREMOTE = "mpremote==1.29.0";

interface Bench {
  readonly folder: string;
  /** Runs mpremote on the board; what it printed. */
  mpremote(...args: string[]): string;
}

/** Installs mpremote into a folder of its own, and switches an empty board on. */
async function withBoard(test: (bench: Bench) => void): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/isotherm-mpremote-`);
  let bridge: ChildProcess | null = null;
  try {
    execFileSync("python3", ["-m", "venv", `${folder}/venv`]);
    execFileSync(`${folder}/venv/bin/pip`, ["install", "--quiet", MPREMOTE], { stdio: "inherit" });
    const board = [Deno.execPath(), "run", "-A", path("../sim/board/serial_port.ts"), "--empty"];
    bridge = spawn("python3", [path("../sim/board/testing/pty_bridge.py"), ...board], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const port = await firstLine(bridge);
    const mpremote = (...args: string[]) =>
      execFileSync(`${folder}/venv/bin/mpremote`, ["connect", port, ...args], {
        encoding: "utf8",
        timeout: 60_000,
      });
    test({ folder, mpremote });
  } finally {
    bridge?.stdin?.end();
    rmSync(folder, { recursive: true });
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    child.stdout?.on("data", (data: Uint8Array) => {
      text += new TextDecoder().decode(data);
      if (text.includes("\n")) resolve(text.split("\n")[0] as string);
    });
  });
}

Deno.test("mpremote sets a new board up: exec, fs cp, ls, cat, run, reset", async () => {
  await withBoard(({ folder, mpremote }) => {
    assert.equal(mpremote("exec", "print(6 * 7)").trim(), "42");
    assert.equal(mpremote("exec", "import time; time.sleep(1); print('waited')").trim(), "waited");
    const files = [...loadFirmware().keys()].map((name) => path(name));
    mpremote("fs", "cp", ...files, ":");
    writeFileSync(
      `${folder}/settings.json`,
      '{"device":"shelf","wifi_ssid":"x","ingest_url":"http://ingest.sim"}',
    );
    mpremote("fs", "cp", `${folder}/settings.json`, ":settings.json");
    const listed = mpremote("fs", "ls");
    for (const name of [...loadFirmware().keys(), "settings.json"]) assert.ok(listed.includes(name), name);
    assert.match(mpremote("fs", "cat", ":settings.json"), /"device":"shelf"/);
    writeFileSync(`${folder}/look.py`, "import settings\nprint(settings.load('/settings.json')[1])\n");
    assert.equal(mpremote("run", `${folder}/look.py`).trim(), "[]");
    mpremote("reset");
    execFileSync("sleep", ["6"]);
    const stored = mpremote(
      "resume",
      "exec",
      "import os; print(os.listdir('/ring'), os.stat('/ring/00000000.seg')[6])",
    );
    assert.equal(
      stored.trim(),
      "['00000000.seg'] 104",
      "the firmware runs: header, time of day and first slot are in flash",
    );
  });
});
