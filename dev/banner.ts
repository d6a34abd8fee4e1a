/** The first lines of `deno task dev`: what runs, where, and what to try. */
import { shownAddress } from "../platform/log_address.ts";
import { defaults, type DevOptions } from "./options.ts";
import { durationText } from "./terminal.ts";

export interface Started {
  readonly options: DevOptions;
  /** Absolute path of the data folder. */
  readonly data: string;
  readonly url: string;
  readonly dashboardUrl: string;
  /** Address for a board on the desk; null unless the local network is served. */
  readonly lanUrl: string | null;
  readonly key: string | null;
  readonly boards: readonly string[];
  readonly historyMs: number;
  /** Of all but the first board; null: as the first. */
  readonly neighboursBackMs: number | null;
  /** How tasks are run here: `deno task` or `npx -y deno@… task`. */
  readonly task: string;
}

/** The lines. */
export function bannerLines(started: Started): string[] {
  const { options, url, data, key, lanUrl, task } = started;
  const folder = options.data === defaults.data ? "" : `--data ${quoted(options.data)} `;
  const header = key === null ? "" : ` -H 'authorization: Bearer ${key}'`;
  const lines = [
    `  log         ${options.log === null ? `embedded: ${data}/log.sqlite` : shownAddress(options.log)}`,
    `  ingest      ${url}/v1/readings`,
    `  dashboard   ${started.dashboardUrl}`,
    "  aggregator  in this process: windows of 1 min, 1 h and 1 day",
    `  boards      ${boardsText(started)}`,
    `  data        ${data}`,
    "",
    "In a second terminal:",
    `  ${task} sql ${folder}"FROM windows ORDER BY window_start DESC LIMIT 5"`,
    `  curl${header} -d '{"device":"desk","temperature_c":21.5,"humidity_pct":40}' ${url}/v1/readings`,
  ];
  if (lanUrl !== null) lines.push("", `A board on the desk sends to ${lanUrl} with the key ${key}`);
  const until = options.forMs === null ? "" : `, or after ${durationText(options.forMs)}`;
  return [
    ...lines,
    "",
    `Ctrl-C stops it${until}; the next start goes on from here. Times below are UTC.`,
    "",
  ];
}

function boardsText({ boards, historyMs, neighboursBackMs }: Started): string {
  if (boards.length === 0) return "none";
  const names = boards.length <= 3 ? boards.join(", ") : `${boards[0]} … ${boards.at(-1)}`;
  const later = neighboursBackMs === null ? "" : ` (${boards.at(-1)} ${durationText(neighboursBackMs)})`;
  const back = historyMs === 0 ? "" : `, starting ${durationText(historyMs)}${later} back`;
  return `${names}: simulated ESP32 with a DHT22, running the project's MicroPython firmware${back}`;
}

/** A text as a word of a POSIX shell. */
function quoted(text: string): string {
  return /^[\w./:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
