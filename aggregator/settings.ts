/** Settings of the service, by environment. Pure. */
import { flagSetting, integerSetting, textSetting } from "../core/settings.ts";

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
  worker: textSetting({
    env: "ISOTHERM_WORKER",
    range: "1 to 64 of a-z, A-Z, 0-9, - and _",
    pattern: /^[A-Za-z0-9_-]{1,64}$/,
    fallback: null,
    consequence: "Names this worker in its owner records; unset, a name is drawn.",
  }),
  publishEveryMs: integerSetting({
    env: "ISOTHERM_PUBLISH_EVERY_MS",
    unit: "ms",
    min: 100,
    max: 60_000,
    fallback: 2_000,
    consequence: "How old published files get at the most while rows arrive; more often costs more.",
  }),
  replay: flagSetting({
    env: "ISOTHERM_REPLAY",
    consequence: "1 reads a recorded log: nothing is appended, and append times may be the producer's.",
  }),
  acceptGap: flagSetting({
    env: "ISOTHERM_ACCEPT_GAP",
    consequence:
      "1 goes on although records expired in the log before they were read; otherwise the start is refused.",
  }),
} as const;
