/** Simulated boards alone, beside an ingest that runs elsewhere: `deno task start:board`, configured by environment. */
import { integerSetting, textSetting } from "../../core/settings.ts";
import { runService, serviceSettings } from "../../platform/service.ts";
import { runLiveBoards } from "./live.ts";

const boardSettings = {
  url: textSetting({
    env: "ISOTHERM_INGEST_URL",
    unit: "address",
    range: "http://host[:port] or https://host[:port]",
    pattern: /^https?:\/\/[^/\s]+\/?$/,
    fallback: "http://127.0.0.1:8086",
    consequence: "Where the boards send their readings.",
  }),
  key: textSetting({
    env: "ISOTHERM_KEY",
    range: "16 to 256 printable characters without blanks",
    pattern: /^[\x21-\x7e]{16,256}$/,
    fallback: null,
    secret: true,
    consequence: "Sent with every request; an ingest that others can reach requires it.",
  }),
  devices: integerSetting({
    env: "ISOTHERM_BOARDS",
    unit: "boards",
    min: 1,
    max: 100,
    fallback: 1,
    consequence: "How many boards there are: board-1, board-2 …",
  }),
  everyMs: integerSetting({
    env: "ISOTHERM_BOARD_EVERY_MS",
    unit: "ms",
    min: 2_000,
    max: 3_600_000,
    fallback: 10_000,
    consequence: "Their sampling interval.",
  }),
  folder: textSetting({
    env: "ISOTHERM_BOARD_FLASH",
    unit: "path",
    range: "a folder",
    pattern: /^.+$/,
    fallback: "data/boards",
    consequence: "Their flash is kept here between two starts, with what ingest has not acknowledged.",
  }),
  port: integerSetting({
    env: "ISOTHERM_BOARD_PORT",
    unit: "port",
    min: 0,
    max: 65_535,
    fallback: 8_089,
    consequence: "Where /healthz and /readyz are served, on loopback.",
  }),
} as const;

await runService({
  name: "board",
  purpose: "simulated ESP32 boards that run the project's firmware and send to an ingest",
  table: { ...boardSettings, ...serviceSettings },
  start: async ({ settings, clock, trace, fail }) => {
    const { url, key, devices, everyMs, folder } = settings;
    await Deno.mkdir(folder, { recursive: true });
    const end = new AbortController();
    const running = runLiveBoards({
      devices,
      startMs: clock.nowMs(),
      url,
      ...key === null ? {} : { key },
      clock,
      seed: "board",
      everyMs,
      signal: end.signal,
      onSerialLine: (device, line) => trace.emit("debug", "board.serial", { device, line }),
      stateDir: folder,
    });
    running.catch(fail);
    return {
      handler: () => new Response("see /healthz and /readyz\n", { status: 404 }),
      listen: { hostname: "127.0.0.1", port: settings.port },
      ready: () => null,
      banner: () => [`${devices === 1 ? "board-1 sends" : `board-1 to board-${devices} send`} to ${url}`],
      stop: async () => {
        end.abort();
        await running.catch(() => {}); // what it failed with was told already
      },
    };
  },
});
