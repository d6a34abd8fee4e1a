/** Settings of the service, and what they mean together. Pure. */
import {
  choiceSetting,
  flagSetting,
  integerSetting,
  type SettingValues,
  textSetting,
} from "../core/settings.ts";
import { defaultTopics } from "./mqtt_topics.ts";

export const ingestSettings = {
  port: integerSetting({
    env: "ISOTHERM_PORT",
    unit: "port",
    min: 0,
    max: 65_535,
    fallback: 8086,
    consequence: "Where ingest listens; 0 takes a free port and prints it.",
  }),
  host: textSetting({
    env: "ISOTHERM_HOST",
    unit: "address",
    range: "an IP address",
    pattern: /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/,
    fallback: null,
    consequence:
      "The address ingest listens on. Unset: 127.0.0.1, or 0.0.0.0 with `ISOTHERM_LAN` or a key. Anything but loopback " +
      "needs a key.",
  }),
  lan: flagSetting({
    env: "ISOTHERM_LAN",
    consequence:
      "1 opens ingest to the local network, with a key, and prints the address for a board on the desk.",
  }),
  key: textSetting({
    env: "ISOTHERM_KEY",
    range: "16 to 256 printable characters without blanks",
    pattern: /^[\x21-\x7e]{16,256}$/,
    fallback: null,
    secret: true,
    consequence:
      "This key may do everything (`Authorization: Bearer KEY` or `X-Api-Key: KEY`); opens ingest.",
  }),
  keys: textSetting({
    env: "ISOTHERM_KEYS",
    unit: "path",
    range: "a file made by `deno task keys`",
    pattern: /^.+$/,
    fallback: null,
    consequence:
      "Keys with scopes, read again within a second of a change; opens ingest as `ISOTHERM_KEY` does.",
  }),
  mqtt: textSetting({
    env: "ISOTHERM_MQTT",
    unit: "address",
    range: "mqtt://[user:password@]host[:port] or mqtts://…",
    pattern: /^mqtts?:\/\/[^\s/]+\/?$/,
    fallback: null,
    secret: true,
    consequence: "Readings are taken from this broker too; a message is acknowledged when the log has it.",
  }),
  mqttTopics: textSetting({
    env: "ISOTHERM_MQTT_TOPICS",
    unit: "patterns",
    range: "topics with {device}, separated by commas",
    pattern: /^[^#]+$/,
    fallback: defaultTopics,
    consequence:
      "Which topics are readings, and which level names the device ({sensor} a sensor of it, + anything).",
  }),
  mqttVersion: choiceSetting({
    env: "ISOTHERM_MQTT_VERSION",
    choices: ["auto", "5", "3.1.1"],
    consequence: "The protocol's version; auto tries 5 first.",
  }),
  mqttClient: textSetting({
    env: "ISOTHERM_MQTT_CLIENT",
    range: "1 to 64 of A–Z, a–z, 0–9 and -",
    pattern: /^[A-Za-z0-9-]{1,64}$/,
    fallback: "isotherm-ingest",
    consequence: "Names the session that the broker keeps; two ingests on one broker need two names.",
  }),
} as const;

export interface Door {
  readonly hostname: string;
  /** Reachable from other machines. */
  readonly open: boolean;
}

const isLoopback = (host: string) => /^127\./.test(host) || host === "::1";

/** Where to listen, or what is wrong with the settings together. */
export function doorOf(
  { host, lan, key, keys }: Pick<SettingValues<typeof ingestSettings>, "host" | "lan" | "key" | "keys">,
): { readonly kind: "door"; readonly door: Door } | { readonly kind: "problem"; readonly problem: string } {
  const hasKey = key !== null || keys !== null;
  const hostname = host ?? (lan || hasKey ? "0.0.0.0" : "127.0.0.1");
  const open = !isLoopback(hostname);
  if (lan && !open) {
    return {
      kind: "problem",
      problem: `ISOTHERM_LAN is set, but ISOTHERM_HOST is ${hostname}: unset one of them`,
    };
  }
  if (open && !hasKey) {
    const problem =
      `ingest on ${hostname} can be reached from other machines: set ISOTHERM_KEY to a secret or ISOTHERM_KEYS to a file, or unset ` +
      "ISOTHERM_LAN and ISOTHERM_HOST";
    return { kind: "problem", problem };
  }
  return { kind: "door", door: { hostname, open } };
}
