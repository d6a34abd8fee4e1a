/**
 * One connection to Redis by @redis/client 6, that can be cut.
 *
 * The package's own reconnecting and queueing are off: what waits, for how long, and what is tried again is decided by
 * our loops (`linked_writer.ts`, `reader.ts`), which make a new connection after every failure. RESP 2, so that
 * Redis 7.0 and its relatives answer alike; texts come as Buffers where values are read.
 */
import { Buffer } from "node:buffer";
import { createClient, RESP_TYPES } from "@redis/client";
import { LogRefused, LogUnavailable } from "../../core/ports/log.ts";
import { RETRY_AFTER_MS } from "../deadline.ts";

/** A server and the log's name in it. */
export interface RedisPlace {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  /** The key of the log's metadata; its streams are `<name>:0` and so on. */
  readonly name: string;
}

/** What Redis answers with texts as bytes. */
export type RedisReply = Buffer | number | null | readonly RedisReply[];

const CONNECT_MS = 1_000;

const create = (place: RedisPlace) =>
  createClient({
    RESP: 2,
    socket: {
      host: place.host,
      port: place.port,
      connectTimeout: CONNECT_MS,
      reconnectStrategy: false,
    },
    ...place.username === undefined ? {} : { username: place.username },
    ...place.password === undefined ? {} : { password: place.password },
    disableOfflineQueue: true,
    disableClientInfo: true,
  });

export class RedisConnection {
  readonly #client: ReturnType<typeof create>;

  /** `onEnd` is called once when the connection breaks, not when it is cut. */
  constructor(place: RedisPlace, onEnd: (error: unknown) => void = () => {}) {
    this.#client = create(place);
    this.#client.once("error", onEnd);
    this.#client.on("error", () => {});
  }

  async connect(): Promise<void> {
    await this.#client.connect();
  }

  /** Sends a command; texts of the answer are strings. */
  async text(args: readonly string[]): Promise<unknown> {
    return await this.#client.sendCommand(args);
  }

  /** Sends a command whose answer's texts may be any bytes. */
  async bytes(args: readonly (string | Buffer)[]): Promise<RedisReply> {
    const options = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };
    return await this.#client.sendCommand(args, options) as unknown as RedisReply;
  }

  /** Calls `listener` for each message of a channel; this connection is then good for nothing else. */
  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    await this.#client.subscribe(channel, listener);
  }

  /** Ends the connection at once and for ever; what still waits rejects. */
  cut(): void {
    if (this.#client.isOpen) this.#client.destroy();
  }
}

/** The log and its server as a person knows them; without credentials. */
export const nameOf = ({ host, port, name }: RedisPlace) => `log ${name} on Redis ${host}:${port}`;

/** Redis's error codes that waiting doesn't mend, with what to do. */
const fatal: Readonly<Record<string, string>> = {
  NOAUTH: "put user and password into the address: redis://user:password@host:port",
  WRONGPASS: "check the user and password in the address",
  NOPERM: "allow this user the commands and keys that docs/redis.md lists",
  WRONGTYPE: "something else has a key of the log's name: name another one, redis://host:port/NAME",
};

/** Codes that pass by themselves or by somebody's hand, with what to do. */
const transient: Readonly<Record<string, string>> = {
  OOM:
    "Redis has reached maxmemory: raise it, or keep less with retention_ms; appends are taken again by themselves",
  MISCONF: "Redis can't write to its disk: make room or check it; appends are taken again by themselves",
  READONLY: "this Redis is a replica: name the primary",
};

/** What a failure of the client means for the port. Scripts of ours reject with `ISOTHERM sentence`. */
export function redisFailure(error: unknown, action: string, place: RedisPlace): LogUnavailable | LogRefused {
  if (error instanceof LogUnavailable || error instanceof LogRefused) return error;
  const message = error instanceof Error ? error.message : String(error);
  const name = nameOf(place);
  const [, ours] = /\bISOTHERM (refused|wait) /.exec(message) ?? [];
  if (ours !== undefined) {
    const sentence = `${name} ${
      message.slice(message.indexOf(ours) + ours.length + 1).replace(/ script: .*$/, "")
    }`;
    return ours === "refused"
      ? new LogRefused(sentence, { cause: error })
      : new LogUnavailable(sentence, RETRY_AFTER_MS, { cause: error });
  }
  const code = /^(?:ERR )?(?:Error running script.*?: |-)?([A-Z]{3,})\b/.exec(message)?.[1] ?? "";
  const remedy = fatal[code];
  if (remedy !== undefined) {
    return new LogRefused(`can't ${action} ${name}: ${message}: ${remedy}`, { cause: error });
  }
  const hint = transient[code];
  const sentence = `can't ${action} ${name}: ${message}${hint === undefined ? "" : `: ${hint}`}`;
  return new LogUnavailable(sentence, RETRY_AFTER_MS, { cause: error });
}
