/** Publishes to an MQTT broker as fast as it takes messages, for tests. */
import * as mqtt from "mqtt";

export interface Publication {
  readonly topic: string;
  readonly payload: string;
}

/** Publishes all at QoS 1; resolves when the broker has every one. */
export async function publishAll(url: string, messages: readonly Publication[]): Promise<void> {
  const client = await mqtt.connectAsync(url);
  await Promise.all(messages.map(({ topic, payload }) => client.publishAsync(topic, payload, { qos: 1 })));
  await client.endAsync();
}
