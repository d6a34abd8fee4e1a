/**
 * Topic patterns of the MQTT bridge: levels of text, of which `{device}` names the device (the parts of several are
 * joined by `/`), `{sensor}` a sensor of it, and `+` is any level. Pure.
 *
 * `{device}/sensor/{sensor}/state` subscribes to `+/sensor/+/state`.
 */

export interface TopicPattern {
  readonly text: string;
  /** What the broker is asked for. */
  readonly filter: string;
}

export interface TopicMatch {
  readonly device: string;
  /** "" where the pattern names none. */
  readonly sensor: string;
}

/** What is watched unless the settings say otherwise: our own topic, Tasmota's, ESPHome's, Zigbee2MQTT's. */
export const defaultTopics = [
  "isotherm/{device}",
  "tele/{device}/SENSOR",
  "{device}/sensor/{sensor}/state",
  "zigbee2mqtt/{device}",
].join(",");

const TOPIC_LENGTH_MAX = 256;

/** Reads a list of patterns; null when one can't be meant. */
export function parseTopics(list: string): readonly TopicPattern[] | null {
  const patterns = list.split(",").map((text) => text.trim());
  return patterns.every(isPattern) ? patterns.map((text) => ({ text, filter: filterOf(text) })) : null;
}

const isPattern = (text: string) =>
  text.length <= TOPIC_LENGTH_MAX && text.split("/").includes("{device}") &&
  text.split("/").every((level) => /^(\{device\}|\{sensor\}|\+|[^{}+#]+)$/.test(level));

const filterOf = (text: string) =>
  text.split("/").map((level) => level.startsWith("{") ? "+" : level).join("/");

/** The device and sensor that a topic names, or null if it isn't one of the pattern's. */
export function matchTopic({ text }: TopicPattern, topic: string): TopicMatch | null {
  const [wanted, levels] = [text.split("/"), topic.split("/")];
  if (wanted.length !== levels.length) return null;
  const device: string[] = [];
  let sensor = "";
  for (const [place, level] of levels.entries()) {
    if (wanted[place] === "{device}") device.push(level);
    else if (wanted[place] === "{sensor}") sensor = level;
    else if (wanted[place] !== "+" && wanted[place] !== level) return null;
  }
  return { device: device.join("/"), sensor };
}
