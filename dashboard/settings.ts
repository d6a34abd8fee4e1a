/** Settings of the service, by environment, and what they mean together. Pure. */
import { integerSetting, type SettingValues, textSetting } from "../core/settings.ts";

export const dashboardSettings = {
  port: integerSetting({
    env: "ISOTHERM_DASHBOARD_PORT",
    unit: "port",
    min: 0,
    max: 65_535,
    fallback: 8088,
    consequence: "Where the dashboard is served; 0 takes a free port and prints it.",
  }),
  host: textSetting({
    env: "ISOTHERM_DASHBOARD_HOST",
    unit: "address",
    range: "an IP address",
    pattern: /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/,
    fallback: "127.0.0.1",
    consequence: "Anything but loopback needs a token.",
  }),
  token: textSetting({
    env: "ISOTHERM_DASHBOARD_TOKEN",
    range: "16 to 256 printable characters without blanks",
    pattern: /^[\x21-\x7e]{16,256}$/,
    fallback: null,
    secret: true,
    consequence: "Whoever has it may sign in; with it, nobody looks without.",
  }),
  names: textSetting({
    env: "ISOTHERM_DASHBOARD_NAMES",
    range: "host names, separated by commas",
    pattern: /^[A-Za-z0-9.-]{1,253}(,[A-Za-z0-9.-]{1,253}){0,15}$/,
    fallback: null,
    consequence:
      "Names besides the machine's addresses under which it may be called, for instance behind a proxy.",
  }),
  proxies: textSetting({
    env: "ISOTHERM_DASHBOARD_PROXIES",
    range: "IP addresses, separated by commas",
    pattern: /^[0-9a-fA-F.:]{2,45}(,[0-9a-fA-F.:]{2,45}){0,15}$/,
    fallback: null,
    consequence:
      "Proxies that end TLS: where one of them says `X-Forwarded-Proto: https`, the session's cookie is for encrypted " +
      "connections only. Nobody else's word is taken.",
  }),
  data: textSetting({
    env: "ISOTHERM_DATA",
    unit: "path",
    range: "a folder",
    pattern: /^.+$/,
    fallback: "data",
    consequence: "The data folder whose published files are shown.",
  }),
  aggregator: textSetting({
    env: "ISOTHERM_AGGREGATOR_URL",
    unit: "address",
    range: "http://… or https://…, or none",
    pattern: /^(none|https?:\/\/[^\s/]+)$/,
    fallback: "http://127.0.0.1:8087",
    consequence:
      "Where live values, explanations and health come from; `none` shows the published files alone.",
  }),
} as const;

const isLoopback = (host: string) => /^127\./.test(host) || host === "::1";

/** What is wrong with the settings together, null when nothing. */
export function doorProblem(
  { host, token }: Pick<SettingValues<typeof dashboardSettings>, "host" | "token">,
): string | null {
  return isLoopback(host) || token !== null
    ? null
    : `the dashboard on ${host} can be reached from other machines: set ISOTHERM_DASHBOARD_TOKEN to a secret, or unset ISOTHERM_DASHBOARD_HOST`;
}

/** Names under which a dashboard that listens on `host` may be called. */
export function hostsOf(host: string, addresses: readonly string[], names: readonly string[]): string[] {
  const bracketed = (address: string) => address.includes(":") ? `[${address}]` : address;
  const local = ["localhost", "127.0.0.1", "[::1]"];
  return isLoopback(host)
    ? [...local, bracketed(host), ...names]
    : [...local, ...addresses.map(bracketed), ...names];
}
