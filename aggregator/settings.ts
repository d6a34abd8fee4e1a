/** Settings of the service, by environment. Pure. */
import { defaultConfig, type JudgeConfig, type WindowSpec } from "../core/config.ts";
import { limits } from "../core/limits.ts";
import {
  flagSetting,
  integerSetting,
  type Setting,
  type SettingValues,
  textSetting,
} from "../core/settings.ts";
import { parseWindows } from "../core/windows_config.ts";

const windows: Setting<readonly WindowSpec[]> = {
  env: "ISOTHERM_WINDOWS",
  unit: "list",
  range: "1 to 8 of SIZE, SIZE/HOP and 1d@ZONE; 1s to 31d",
  fallback: defaultConfig.windows,
  fallbackText: defaultConfig.windows.map((spec) => spec.label).join(","),
  consequence:
    "Windows that are kept: `1m` tumbles, `10m/1m` hops, `1d@Europe/Berlin` is the local day. Rows of " +
    "another list are made anew from the log, beside the old ones, which are read until the new ones are complete.",
  secret: false,
  parse(text) {
    const parsed = parseWindows(text);
    return parsed.kind === "ok"
      ? { value: parsed.windows }
      : { problem: `has problems: ${parsed.problems.join("; ")}` };
  },
};

/** What the rows are made by, besides the log. */
export const judgeSettings = {
  windows,
  outOfOrderMs: integerSetting({
    env: "ISOTHERM_OUT_OF_ORDER_MS",
    unit: "ms",
    min: 0,
    max: 3_600_000,
    fallback: limits.outOfOrderMs,
    consequence: "Readings may arrive so much out of order and be on time; windows close so much later.",
  }),
  idleMs: integerSetting({
    env: "ISOTHERM_IDLE_MS",
    unit: "ms",
    min: limits.futureMsMax,
    max: 86_400_000,
    fallback: limits.idleMs,
    consequence: "A device's silence closes its windows after so long.",
  }),
  retentionDays: integerSetting({
    env: "ISOTHERM_RETENTION_DAYS",
    unit: "days",
    min: 1,
    max: 3_650,
    fallback: limits.retentionMs / 86_400_000,
    consequence: "Raw readings are kept so long; windows for ever.",
  }),
} as const;

/** The configuration that the settings name. */
export function judgeOf(settings: SettingValues<typeof judgeSettings>): JudgeConfig {
  const { windows, outOfOrderMs, idleMs, retentionDays } = settings;
  return { ...defaultConfig, windows, outOfOrderMs, idleMs, retentionMs: retentionDays * 86_400_000 };
}

export const aggregatorSettings = {
  port: integerSetting({
    env: "ISOTHERM_AGGREGATOR_PORT",
    unit: "port",
    min: 0,
    max: 65_535,
    fallback: 8087,
    consequence:
      "Where health and metrics are served, on loopback unless ISOTHERM_AGGREGATOR_HOST says otherwise.",
  }),
  host: textSetting({
    env: "ISOTHERM_AGGREGATOR_HOST",
    unit: "address",
    range: "an IP address",
    pattern: /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/,
    fallback: "127.0.0.1",
    consequence: "Anything but loopback shows health and metrics, no readings, to whoever reaches it.",
  }),
  data: textSetting({
    env: "ISOTHERM_DATA",
    unit: "path",
    range: "a folder",
    pattern: /^.+$/,
    fallback: "data",
    consequence: "Rows and their publication live here; another folder is another set of rows.",
  }),
  publish: textSetting({
    env: "ISOTHERM_PUBLISH",
    unit: "path",
    range: "a folder",
    pattern: /^.+$/,
    fallback: null,
    consequence:
      "Rows are published here in place of ISOTHERM_DATA: the folder that several workers share. A new owner of a " +
      "partition goes on from what lies there, or else from the log's beginning.",
  }),
  worker: textSetting({
    env: "ISOTHERM_WORKER",
    range: "1 to 64 of a-z, A-Z, 0-9, - and _",
    pattern: /^[A-Za-z0-9_-]{1,64}$/,
    fallback: null,
    consequence:
      "Names this worker in owner records and in Kafka's group; no two at a time may have one name. Unset, a name is " +
      "drawn and kept in ISOTHERM_DATA.",
  }),
  publishEveryMs: integerSetting({
    env: "ISOTHERM_PUBLISH_EVERY_MS",
    unit: "ms",
    min: 100,
    max: 60_000,
    fallback: 2_000,
    consequence:
      "How old published files get while rows arrive, unless that would take more than a fifth of the time; more often costs more.",
  }),
  replay: flagSetting({
    env: "ISOTHERM_REPLAY",
    consequence: "1 reads a recorded log: nothing is appended, and append times may be the producer's.",
  }),
  ...judgeSettings,
  alerts: textSetting({
    env: "ISOTHERM_ALERTS",
    unit: "path",
    range: "a file",
    pattern: /^.+$/,
    fallback: null,
    consequence:
      "The file with the rules of alerts; unset, `alerts.json` in the data folder, if there is one. Every worker " +
      "needs the same.",
  }),
  acceptGap: flagSetting({
    env: "ISOTHERM_ACCEPT_GAP",
    consequence:
      "1 goes on although records expired in the log before they were read; otherwise the start is refused.",
  }),
} as const;
