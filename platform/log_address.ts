/** The setting that chooses a service's log, and how it is opened; ingest and aggregator share it. */
import type { Clock } from "../core/ports/clock.ts";
import type { Log } from "../core/ports/log.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Random } from "../core/ports/random.ts";
import type { Trace } from "../core/ports/trace.ts";
import { integerSetting, textSetting } from "../core/settings.ts";
import { openSqliteLog } from "./sqlite_log.ts";

const HOST = String.raw`(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}`;
const EMBEDDED = /^embedded:(.+)$/;
const KAFKA = new RegExp(`^kafka://(${HOST}(?:,${HOST})*)(?:/([A-Za-z0-9._-]{1,249}))?/?$`);

/** File of an embedded log in its folder. */
export const embeddedLogFile = "log.sqlite";
/** Topic where the address names none. */
export const defaultTopic = "readings";

export const logSettings = {
  log: textSetting({
    env: "ISOTHERM_LOG",
    unit: "address",
    range: "embedded:DIR or kafka://host:port[,host:port][/topic]",
    pattern: new RegExp(`${EMBEDDED.source}|${KAFKA.source}`),
    fallback: "embedded:data",
    consequence: "Where records are kept; the README's table says what each survives.",
  }),
  partitions: integerSetting({
    env: "ISOTHERM_PARTITIONS",
    unit: "partitions",
    min: 1,
    max: 256,
    fallback: 1,
    consequence:
      "Partitions of a log that is created; as many workers can share the work. A log that exists has to have as many.",
  }),
} as const;

export interface LogPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  readonly metrics: Metrics;
}

/** Opens the log at an address that {@link logSettings} let through. Rejects with `LogRefused` or `LogUnavailable`. */
export async function openLogAt(address: string, partitions: number, ports: LogPorts): Promise<Log> {
  const embedded = EMBEDDED.exec(address);
  if (embedded !== null) {
    return await openSqliteLog({ path: `${embedded[1]}/${embeddedLogFile}`, partitions, ...ports });
  }
  throw new Error(`the log ${address} can't be opened yet: use embedded:DIR`);
}
