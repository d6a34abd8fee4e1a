/**
 * Messages of an MQTT broker, by the package `mqtt` (5 and 3.1.1): many under way at once, each acknowledged (QoS 1) only
 * when `take` says so, and in the order in which they came (MQTT 5, section 4.6). The session outlives the connection, so
 * what comes while we are away waits with the broker.
 *
 * When a message can't be taken, the connection is given up: the broker then keeps the message and all after it in
 * order. We come back when `ready` says that it makes sense; meanwhile nothing is held here. (Holding the connection
 * and the message would stall the client's keep-alive, and its copy would be delivered again on top.)
 *
 * The package takes one message at a time: it reads on when it has sent the acknowledgement, which its hook
 * (`handleMessage`) can only delay. One at a time carried 250 messages a second. So its sender of packets is wrapped: an
 * acknowledgement is held until its turn, and the package reads on meanwhile.
 */
import { type ErrorWithReasonCode, type MqttClient } from "mqtt";
import * as mqtt from "mqtt";
import type { Clock } from "../core/ports/clock.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Trace } from "../core/ports/trace.ts";

export interface SourceMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retained: boolean;
}

export interface MqttSourceOptions {
  /** `mqtt://[user:password@]host[:port]`, or `mqtts://…`. */
  readonly url: string;
  /** Names our session at the broker; two bridges need two. */
  readonly clientId: string;
  readonly filters: readonly string[];
  /** `auto` tries 5, then 3.1.1. */
  readonly version: "auto" | "5" | "3.1.1";
  readonly clock: Clock;
  readonly trace: Trace;
  readonly metrics: Metrics;
  /** Messages that are taken at one time (default 256); at it, nothing more is read from the broker. */
  readonly inFlightMax?: number;
  /** Decides on a message; `later` leaves it with the broker. Called in the order in which they come. Must not reject. */
  take(message: SourceMessage): Promise<"taken" | "later">;
  /** False: don't connect now. */
  ready(): boolean;
}

export interface MqttSource {
  connected(): boolean;
  /** Says goodbye; bounded. */
  close(): Promise<void>;
}

/** The broker keeps our session, and what comes meanwhile, for so long. */
const SESSION_SECONDS = 7 * 86_400;
const CONNECT_MS_MAX = 5_000;
const PAUSE_FIRST_MS = 500;
const PAUSE_MS_MAX = 30_000;
const GOODBYE_MS = 1_000;
const IN_FLIGHT_MAX = 256;
/** CONNACK codes for a protocol version that the broker doesn't speak: MQTT 5, and 3.1.1. */
const WRONG_VERSION = [132, 1];

/** Starts to take messages, and goes on until it is closed; a broker that is away is tried again. */
export function openMqttSource(options: MqttSourceOptions): MqttSource {
  const { clock, trace, metrics, inFlightMax = IN_FLIGHT_MAX } = options;
  const end = new AbortController();
  let client: MqttClient | null = null;
  let version: 4 | 5 = options.version === "3.1.1" ? 4 : 5;
  const show = (isConnected: boolean) => metrics.gauge("isotherm_mqtt_connected", isConnected ? 1 : 0);

  const run = async () => {
    let pauseMs = PAUSE_FIRST_MS;
    let told = "";
    while (!end.signal.aborted) {
      if (!options.ready()) {
        await clock.sleep(PAUSE_FIRST_MS, end.signal);
        continue;
      }
      const ended = await session();
      show(false);
      if (end.signal.aborted) return;
      if (ended.wrongVersion && options.version === "auto" && version === 5) {
        version = 4;
        trace.emit("info", "mqtt.older_version", { version: "3.1.1" });
        continue;
      }
      if (ended.reason !== told) trace.emit("warn", "mqtt.away", { reason: ended.reason });
      told = ended.reason;
      if (ended.wasConnected) pauseMs = PAUSE_FIRST_MS;
      await clock.sleep(pauseMs, end.signal);
      pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX);
    }
  };

  /** One connection, from its making to its end. */
  const session = (): Promise<{ reason: string; wasConnected: boolean; wrongVersion: boolean }> =>
    new Promise((resolve) => {
      let wasConnected = false;
      let reason = "the connection ended";
      let wrongVersion = false;
      const connection = client = mqtt.connect(options.url, {
        protocolVersion: version,
        clientId: options.clientId,
        clean: false,
        ...(version === 5
          ? { properties: { sessionExpiryInterval: SESSION_SECONDS, receiveMaximum: inFlightMax } }
          : {}),
        reconnectPeriod: 0,
        connectTimeout: CONNECT_MS_MAX,
        timerVariant: "native",
      });
      const finish = (why: string) => {
        reason = why;
        connection.end(true);
      };
      const held = holdAcknowledgements(connection, inFlightMax);
      connection.handleMessage = (packet, next) => {
        const payload = typeof packet.payload === "string"
          ? new TextEncoder().encode(packet.payload)
          : packet.payload;
        const settle = held.begin(packet.qos === 0 ? null : packet.messageId ?? null, () => next());
        options.take({ topic: packet.topic, payload, retained: packet.retain }).then((verdict) => {
          if (verdict === "taken" || packet.qos === 0) settle();
          else finish("a message can't be taken now; the broker keeps it");
        }, (error: Error) => finish(error.message));
      };
      connection.on("connect", () => {
        wasConnected = true;
        show(true);
        trace.emit("info", "mqtt.connected", { version: version === 5 ? "5" : "3.1.1" });
        connection.subscribeAsync([...options.filters], { qos: 1 })
          .catch((error: Error) => finish(`the subscription was refused: ${error.message}`));
      });
      connection.on("error", (error: Error | ErrorWithReasonCode) => {
        wrongVersion = "code" in error && WRONG_VERSION.includes(Number(error.code));
        finish(error.message);
      });
      connection.on("close", () => {
        connection.end(true);
        resolve({ reason, wasConnected, wrongVersion });
      });
    });

  const running = run();
  return {
    connected: () => client?.connected ?? false,
    async close() {
      end.abort();
      const goodbye = client?.connected === true ? client.endAsync() : Promise.resolve();
      await Promise.race([goodbye.catch(() => {}), clock.sleep(GOODBYE_MS)]);
      client?.end(true);
      await Promise.race([running, clock.sleep(GOODBYE_MS)]);
    },
  };
}

/** One message that is being taken. */
interface Held {
  /** Null for QoS 0, which nobody acknowledges. */
  readonly messageId: number | null;
  isTaken: boolean;
  /** Sends the acknowledgement, once the package has made it. */
  acknowledge: (() => void) | null;
}

type SendPacket = (
  packet: { cmd: string; messageId?: number },
  done?: () => void,
  ...more: unknown[]
) => void;

/**
 * Holds a connection's acknowledgements back until their messages are taken, in order. `begin` registers a message, lets
 * the package read on as soon as there is room for another, and returns what is called when it is taken.
 */
function holdAcknowledgements(connection: MqttClient, inFlightMax: number) {
  const queue: Held[] = [];
  let readOn: (() => void) | null = null;
  const client = connection as unknown as { _sendPacket: SendPacket };
  const send = client._sendPacket.bind(connection);
  client._sendPacket = (packet, done, ...more) => {
    const held = packet.cmd === "puback"
      ? queue.findLast(({ messageId }) => messageId === packet.messageId)
      : undefined;
    if (held === undefined) return send(packet, done, ...more);
    held.acknowledge = () => send(packet, undefined, ...more);
    flush();
    done?.();
  };
  const flush = () => {
    for (let first = queue[0]; first?.isTaken === true; first = queue[0]) {
      if (first.messageId !== null && first.acknowledge === null) break;
      queue.shift();
      first.acknowledge?.();
    }
    if (queue.length < inFlightMax && readOn !== null) {
      const next = readOn;
      readOn = null;
      next();
    }
  };
  return {
    begin(messageId: number | null, next: () => void): () => void {
      const held: Held = { messageId, isTaken: false, acknowledge: null };
      queue.push(held);
      // Not at once: the package would begin with the next message inside of this one's call, and so on for all.
      readOn = next;
      queueMicrotask(flush);
      return () => {
        held.isTaken = true;
        flush();
      };
    },
  };
}
