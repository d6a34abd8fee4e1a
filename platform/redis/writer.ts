/**
 * Appending to Redis: the link of a {@link LinkedWriter}. A send is one call of a script, whole or not at all; where the
 * server's settings ask for it, `WAITAOF` follows in the same breath and the send counts when the disk has answered.
 */
import { Buffer } from "node:buffer";
import {
  type Appended,
  type LogRecord,
  LogRefused,
  LogUnavailable,
  type NewRecord,
} from "../../core/ports/log.ts";
import type { Random } from "../../core/ports/random.ts";
import type { Trace } from "../../core/ports/trace.ts";
import { RETRY_AFTER_MS } from "../deadline.ts";
import type { Link, LinkedLog } from "../linked_writer.ts";
import { nameOf, RedisConnection, redisFailure, type RedisReply } from "./client.ts";
import { appendScript } from "./scripts.ts";
import { checkServer, type Durability, type RedisNeeds, settleLog } from "./server.ts";

export interface RedisLinkOptions extends RedisNeeds {
  readonly random: Random;
  readonly trace: Trace;
  /** Longest that `WAITAOF` is waited for, ms. */
  readonly deadlineMs: number;
}

/** Some 20 ms of Redis's only thread, during which nobody else is answered. */
const SEND_RECORDS_MAX = 2_000;
const SEND_BYTES_MAX = 2_000_000;

/** What a {@link LinkedWriter} needs to know of Redis. */
export function redisWriterLog(options: RedisLinkOptions): LinkedLog {
  // Known to all links: a log that comes back as another one is not ours.
  const known: Known = { identity: null, durability: null };
  return {
    name: nameOf(options),
    server: "Redis",
    createLink: () => new RedisLink(options, known),
    failure: (error, action) => redisFailure(error, action, options),
    sendRecordsMax: SEND_RECORDS_MAX,
    sendBytesMax: SEND_BYTES_MAX,
  };
}

interface Known {
  identity: string | null;
  durability: Durability | null;
}

class RedisLink implements Link {
  readonly #options: RedisLinkOptions;
  readonly #known: Known;
  readonly #connection: RedisConnection;
  #appendSha = "";

  constructor(options: RedisLinkOptions, known: Known) {
    this.#options = options;
    this.#known = known;
    this.#connection = new RedisConnection(options);
  }

  async connect(mustExist: boolean): Promise<void> {
    await this.#connection.connect();
    await this.#checkServer();
    const identity = await settleLog(
      this.#connection,
      this.#options,
      drawIdentity(this.#options.random),
      mustExist,
    );
    this.#known.identity ??= identity;
    if (identity !== this.#known.identity) {
      throw new LogRefused(
        `${
          nameOf(this.#options)
        } was deleted and made anew while it was in use: bring the old one back, or start again`,
      );
    }
    this.#appendSha = String(await this.#connection.text(["SCRIPT", "LOAD", appendScript]));
  }

  async send(records: readonly NewRecord[]): Promise<readonly Appended[]> {
    const args = appendArgs(this.#options.name, this.#known.identity ?? "", records);
    const sent = this.#connection.bytes(["EVALSHA", this.#appendSha, ...args]);
    const { deadlineMs } = this.#options;
    const waited = this.#known.durability?.waits === true
      ? this.#connection.text(["WAITAOF", "1", "0", String(deadlineMs)])
      : null;
    waited?.catch(() => {});
    const places = placesOf(records, await sent);
    if (waited !== null && !(Number((await waited as readonly unknown[])[0]) >= 1)) {
      const message = `can't append to ${
        nameOf(this.#options)
      }: its disk did not answer within ${deadlineMs} ms`;
      throw new LogUnavailable(message, RETRY_AFTER_MS);
    }
    return places;
  }

  async look(): Promise<void> {
    await this.#checkServer();
    await settleLog(this.#connection, this.#options, "", true);
  }

  goodbye(): Promise<void> {
    return Promise.resolve();
  }

  cut(): void {
    this.#connection.cut();
  }

  /** Settings may change while we are connected: what a 2xx means is said again then. */
  async #checkServer(): Promise<void> {
    const durability = await checkServer(this.#connection, this.#options);
    if (durability.sentence === this.#known.durability?.sentence) return;
    this.#known.durability = durability;
    if (this.#options.replay) return;
    const level = durability.kind === "disk" ? "info" : "warn";
    this.#options.trace.emit(level, "log.durability", { sentence: durability.sentence });
  }
}

/** 128 random bits in hex. */
export function drawIdentity(random: Random): string {
  return Array.from({ length: 4 }, () => random.uint32().toString(16).padStart(8, "0")).join("");
}

/** Keys and arguments of the append script, their count first. A `time` is a tape's. */
export function appendArgs(
  name: string,
  identity: string,
  records: readonly (NewRecord & { readonly time?: LogRecord["appendMs"] })[],
): (string | Buffer)[] {
  const streams = new Map<number, number>();
  const args: (string | Buffer)[] = [identity, String(records.length)];
  for (const { partition, key, value, headers, time } of records) {
    let index = streams.get(partition);
    if (index === undefined) streams.set(partition, index = streams.size + 1);
    const fields: (string | Buffer)[] = [];
    if (key !== null) fields.push("key", key);
    if (value !== null) fields.push("value", Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    for (const [header, content] of Object.entries(headers)) fields.push(`h:${header}`, content);
    if (time !== undefined) fields.push("time", String(time));
    args.push(String(index), String(partition), String(fields.length), ...fields);
  }
  const keys = [name, ...[...streams.keys()].map((partition) => `${name}:${partition}`)];
  return [String(keys.length), ...keys, ...args];
}

function placesOf(records: readonly NewRecord[], reply: RedisReply): readonly Appended[] {
  if (!Array.isArray(reply) || reply.length !== 2 * records.length) {
    throw new Error(`Redis answered ${records.length} appends with ${JSON.stringify(reply)}`);
  }
  return records.map(({ partition }, i) => ({
    partition,
    offset: Number(reply[2 * i]),
    appendMs: Number.parseInt(String(reply[2 * i + 1])),
  }));
}
