/**
 * The MQTT door: messages become batches in the log, and the broker is told that one was received (QoS 1) only when the
 * log has it. What the log can't take now stays with the broker, which sends it again: nothing is spooled here.
 *
 * Messages of several devices are under way together. Those of one device go one after the other, so that they lie in
 * the log in the order in which they came: what comes while one is under way is appended together, behind it, and is
 * left with the broker too when that one was. How many are under way at once is for the source to bound.
 *
 * A message that can never become a reading is acknowledged, counted by reason and told to the trace, at most once a
 * minute for each reason: refusing it would only make the broker send it for ever.
 */
import type { Clock } from "../core/ports/clock.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Trace } from "../core/ports/trace.ts";
import type { Grant } from "./authority.ts";
import type { Intake } from "./intake.ts";
import { readPayload } from "./mqtt_payload.ts";
import { type Parcel, readParcel } from "./parcel.ts";
import { matchTopic, type TopicPattern } from "./mqtt_topics.ts";

export interface MqttMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** The broker had kept it: it is older than our subscription. */
  readonly retained: boolean;
}

/** `taken`: acknowledge. `later`: not now; the broker is to send it again. */
export type MqttVerdict = "taken" | "later";

export interface MqttBridgePorts {
  readonly intake: Pick<Intake, "append">;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly metrics: Metrics;
}

/** A message whose turn hasn't come. */
interface Queued {
  readonly parcels: readonly Parcel[];
  readonly bytes: number;
  readonly settled: PromiseWithResolvers<MqttVerdict>;
}

/** The broker has checked who publishes what. */
const GRANT: Grant = { key: "mqtt", isAdmin: false, allows: () => true };
const TOLD_EVERY_MS = 60_000;
const encoder = new TextEncoder();

/** Makes the function that decides on a message. */
export function createMqttBridge(
  { intake, clock, trace, metrics }: MqttBridgePorts,
  patterns: readonly TopicPattern[],
): (message: MqttMessage) => Promise<MqttVerdict> {
  const toldMs = new Map<string, number>();

  const dropped = (
    reason: "no_topic" | "retained" | "bad",
    message: MqttMessage,
    detail: string,
  ): MqttVerdict => {
    metrics.count("isotherm_mqtt_dropped_total", 1, { reason });
    const nowMs = clock.monotonicMs();
    if (nowMs - (toldMs.get(reason) ?? -Infinity) >= TOLD_EVERY_MS) {
      toldMs.set(reason, nowMs);
      trace.emit("warn", "mqtt.dropped", { reason, topic: message.topic.slice(0, 256), detail });
    }
    return "taken";
  };

  /** Devices with an append under way → what waits behind it. */
  const queues = new Map<string, Queued[]>();

  /** Appends what is given, then what has come meanwhile, until nothing has. */
  const drain = async (device: string, first: readonly Queued[]): Promise<void> => {
    for (let batch = first; batch.length > 0;) {
      const verdict = await append(batch);
      const waiting = queues.get(device)!;
      queues.set(device, []);
      if (verdict === "taken") {
        batch = waiting;
        continue;
      }
      for (const { settled } of waiting) settled.resolve("later");
      break;
    }
    queues.delete(device);
  };

  const append = async (batch: readonly Queued[]): Promise<MqttVerdict> => {
    try {
      const bytes = batch.reduce((sum, queued) => sum + queued.bytes, 0);
      const outcome = await intake.append(GRANT, batch.flatMap(({ parcels }) => parcels), bytes);
      const verdict = outcome.kind === "refused" ? "later" : "taken";
      if (verdict === "taken") metrics.count("isotherm_mqtt_messages_total", batch.length);
      for (const { settled } of batch) settled.resolve(verdict);
      return verdict;
    } catch (error) {
      for (const { settled } of batch) settled.reject(error);
      return "later";
    }
  };

  const inTurn = (device: string, parcels: readonly Parcel[], bytes: number): Promise<MqttVerdict> => {
    const queued: Queued = { parcels, bytes, settled: Promise.withResolvers() };
    const queue = queues.get(device);
    if (queue !== undefined) queue.push(queued);
    else {
      queues.set(device, []);
      void drain(device, [queued]);
    }
    return queued.settled.promise;
  };

  return async (message) => {
    const match = patterns.map((pattern) => matchTopic(pattern, message.topic)).find((found) =>
      found !== null
    );
    if (match === undefined || match === null) {
      return dropped("no_topic", message, "no pattern matches the topic");
    }
    const read = readPayload(match, message.payload);
    if (read.kind === "other") {
      metrics.count("isotherm_mqtt_other_total", 1);
      return "taken";
    }
    if (read.kind === "bad") return dropped("bad", message, read.reason);
    if (message.retained && !read.dated) {
      return dropped("retained", message, "it was retained and carries no time: nobody knows how old it is");
    }
    const parcels: Parcel[] = [];
    for (const text of read.texts) {
      const parcel = readParcel(encoder.encode(text));
      if (parcel.kind === "problems") return dropped("bad", message, parcel.problems[0]!.message);
      parcels.push(parcel.parcel);
    }
    return await inTurn(match.device, parcels, message.payload.length);
  };
}
