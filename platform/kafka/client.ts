/**
 * One connection to a Kafka cluster by kafkajs 2.2.4, that can be cut.
 *
 * kafkajs keeps retrying, and keeps its process alive, when a broker is gone in the middle of a disconnect
 * (tulios/kafkajs#1147). So its sockets are made here: {@link KafkaClient.cut} destroys them all and lets no new one be
 * made, after which everything that still waits fails by itself within its few retries.
 *
 * All times that kafkajs takes by itself are bounded here: a request, a connection attempt, and retries of about two
 * seconds altogether. What lasts longer is our own loops' business (`writer.ts`, `reader.ts`).
 */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { Kafka, type KafkaConfig, logLevel } from "kafkajs";
import "./kafkajs_produce.ts";
import "./kafkajs_timers.ts";
import type { Clock } from "../../core/ports/clock.ts";
import { LogRefused, LogUnavailable } from "../../core/ports/log.ts";
import type { Trace } from "../../core/ports/trace.ts";
import { before, RETRY_AFTER_MS } from "../deadline.ts";

/** A cluster and a topic of it. */
export interface KafkaPlace {
  /** `host:port` of some brokers; the others are found through them. */
  readonly brokers: readonly string[];
  readonly topic: string;
}

/** Retries inside kafkajs: 0.1 + 0.2 + 0.4 + 0.8 s, and then the error is ours. */
export const kafkaRetry = { initialRetryTime: 100, multiplier: 2, maxRetryTime: 1_000, retries: 4 } as const;
const CONNECT_MS = 1_000;
const REQUEST_MS = 5_000;

export class KafkaClient {
  readonly kafka: Kafka;
  /** What {@link kafka} was made with. */
  readonly options: KafkaConfig;
  readonly #sockets = new Set<Socket>();
  #isCut = false;
  /** Called when a connection ends that we haven't ended; kafkajs itself would try for two seconds to make it anew. */
  onClosed: (() => void) | null = null;

  constructor(place: KafkaPlace, clientId: string, trace: Trace) {
    this.options = {
      clientId,
      brokers: [...place.brokers],
      connectionTimeout: CONNECT_MS,
      requestTimeout: REQUEST_MS,
      retry: kafkaRetry,
      socketFactory: ({ host, port, onConnect }) => this.#connect(host, port, onConnect),
      logLevel: logLevel.WARN,
      logCreator: () => ({ namespace, log: { message } }) =>
        trace.emit("debug", "log.kafkajs", { namespace, message: String(message) }),
    };
    this.kafka = new Kafka(this.options);
  }

  /** Ends every connection at once and for ever. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy(new Error("the connection was given up"));
  }

  #connect(host: string, port: number, onConnect: () => void): Socket {
    if (this.#isCut) throw new Error("the connection was given up");
    const socket = connect({ host, port }, onConnect);
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      if (!this.#isCut) this.onClosed?.();
    });
    return socket;
  }
}

/** Rejects with {@link LogUnavailable} when `promise` takes longer than `ms`; the promise is left to itself. */
export function within<T>(clock: Clock, ms: number, action: string, promise: Promise<T>): Promise<T> {
  return before(clock, ms, `can't ${action}: Kafka did not answer`, promise);
}

/** Kafka's error codes by kafkajs's names that waiting doesn't mend, with what to do. */
const fatal: Readonly<Record<string, string>> = {
  TOPIC_AUTHORIZATION_FAILED: "allow this client to describe, create, read and write the topic",
  CLUSTER_AUTHORIZATION_FAILED: "allow this client to use the cluster",
  GROUP_AUTHORIZATION_FAILED: "allow this client to use its consumer group",
  INVALID_TOPIC_EXCEPTION: "choose another name for the topic",
  INVALID_REPLICATION_FACTOR: "configure no more replicas than the cluster has brokers",
  UNSUPPORTED_VERSION: "use a broker of Apache Kafka 3.9 to 4.x",
  SASL_AUTHENTICATION_FAILED: "check the credentials",
  POLICY_VIOLATION: "ask the cluster's owner, or create the topic by hand",
};

/** What a failure of kafkajs means for the port. */
export function kafkaFailure(
  error: unknown,
  action: string,
  place: KafkaPlace,
): LogUnavailable | LogRefused {
  if (error instanceof LogUnavailable || error instanceof LogRefused) return error;
  for (const cause of causesOf(error)) {
    const { type } = cause as { type?: unknown };
    const remedy = typeof type === "string" ? fatal[type] : undefined;
    if (remedy !== undefined) {
      return new LogRefused(`can't ${action} ${nameOf(place)}: ${cause.message}: ${remedy}`, {
        cause: error,
      });
    }
    if (cause.name === "KafkaJSNotImplemented") {
      const message =
        `can't ${action} ${nameOf(place)}: ${cause.message}: a program writes it with a compression ` +
        "that this build can't read; set the topic's compression.type=uncompressed, and start anew behind that record";
      return new LogRefused(message, { cause: error });
    }
  }
  const message = `can't ${action} ${nameOf(place)}: ${
    error instanceof Error ? error.message : String(error)
  }`;
  return new LogUnavailable(message, RETRY_AFTER_MS, { cause: error });
}

/** The error and what is behind it, some levels deep; kafkajs puts several into `errors`. */
function causesOf(error: unknown, depth = 0): readonly Error[] {
  if (!(error instanceof Error) || depth > 8) return [];
  const { errors = [] } = error as { errors?: readonly unknown[] };
  return [error, ...[error.cause, ...errors].flatMap((cause) => causesOf(cause, depth + 1))];
}

/** The topic and its cluster as a person knows them. */
export const nameOf = ({ brokers, topic }: KafkaPlace) => `topic ${topic} on ${brokers.join(",")}`;

/** The same bytes as a Buffer, which kafkajs wants. */
export const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
