/**
 * The MQTT door: messages become batches in the log, and the broker is told that one was received (QoS 1) only when the
 * log has it. What the log can't take now stays with the broker, which sends it again: nothing is spooled here.
 *
 * A message that can never become a reading is acknowledged, counted by reason and told to the trace, at most once a
 * minute for each reason: refusing it would only make the broker send it for ever.
 */
import type { Clock } from "../core/ports/clock.ts";
import type { Metrics } from "../core/ports/metrics.ts";
import type { Trace } from "../core/ports/trace.ts";
import { decodeBatch } from "../core/schema.ts";
import type { Grant } from "./authority.ts";

import type { Intake } from "./intake.ts";
import { readPayload } from "./mqtt_payload.ts";
import { type Parcel, parcelOf } from "./parcel.ts";
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
  readonly intake: Intake;
  readonly clock: Clock;
  readonly trace: Trace;
  readonly metrics: Metrics;
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
      const value = encoder.encode(text);
      const decoded = decodeBatch(value);
      if (decoded.kind === "problems") return dropped("bad", message, decoded.problems[0]!.message);
      parcels.push(parcelOf(decoded.batch, value));
    }
    const outcome = await intake.append(GRANT, parcels, message.payload.length);
    if (outcome.kind === "refused") return "later";
    metrics.count("isotherm_mqtt_messages_total", 1);
    return "taken";
  };
}
