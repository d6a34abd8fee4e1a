/**
 * Weather on a simulator that has none of its own: it is stopped at the time of each sample, told, and let go on. What the
 * scenario sets by hand stays as it was set, as in the offline simulator.
 */
import type { APIClient } from "@wokwi/client";
import type { WeatherSample } from "../weather_samples.ts";

/** The sensor's part in the diagram, and its controls. */
export const sensorPart = "dht";
type Channel = "temperature" | "humidity";

/**
 * Arms the first sample, and from then on goes on by itself. To be called before the start. `isHeld` tells whether a
 * channel was set by hand; `failed` is told if the simulator refuses.
 */
export async function followWeather(
  client: APIClient,
  samples: readonly WeatherSample[],
  isHeld: (channel: Channel) => boolean,
  failed: (error: Error) => void,
): Promise<void> {
  let next = 0;
  const arm = async (): Promise<void> => {
    const sample = samples[next++];
    if (sample === undefined) return;
    const point = await client.addPausePoint({ type: "time-absolute", nanos: sample.atNanos });
    point.promise.then(() => tell(sample)).catch(failed);
  };
  const set = async (channel: Channel, tenths: number | undefined): Promise<void> => {
    if (tenths !== undefined && !isHeld(channel)) await client.controlSet(sensorPart, channel, tenths / 10);
  };
  const tell = async (sample: WeatherSample): Promise<void> => {
    await set("temperature", sample.temperatureTenthsC);
    await set("humidity", sample.humidityTenthsPct);
    await arm();
    await client.simResume();
  };
  await arm();
}
