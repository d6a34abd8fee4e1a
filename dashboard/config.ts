/** What the dashboard is told besides its ports. */
export interface DashboardConfig {
  /** SHA-256 of the token that signs in; null on loopback, where nobody has to. */
  readonly tokenHash: Uint8Array | null;
  /** Names and addresses, without ports, under which it may be called: others are refused (DNS rebinding). */
  readonly hosts: readonly string[];
  /** Addresses of proxies that end TLS: their `X-Forwarded-Proto` is believed, nobody else's. */
  readonly proxies: readonly string[];
  /** Where boards send to, for a page that is still empty; null when not known. */
  readonly ingestUrl: string | null;
}

/** Bounds of the dashboard, each with its reason. */
export const dashboardLimits = {
  /** A query of the console is killed then: longer ones belong in a notebook. */
  sqlDeadlineMs: 15_000,
  /** Rows that a page can show without getting slow; downloads have no such bound. */
  sqlRowsMax: 5_000,
  sqlBytesMax: 4_000_000,
  /** A download is killed then. */
  downloadDeadlineMs: 120_000,
  /** Points of one chart: above, the next larger window is shown. */
  windowsMax: 3_000,
  /** A body of a request; above: 413. */
  bodyBytesMax: 65_536,
  /** Someone who is signed in has to do so again. */
  sessionMs: 30 * 86_400_000,
  /** Sessions at one time; the oldest ends. */
  sessionsMax: 1_000,
  /** Wrong tokens within a minute, from everybody together; more are refused unseen. */
  attemptsPerMinuteMax: 20,
  /** One answer about the fleet serves everybody for so long. */
  fleetFreshMs: 1_500,
  /** The same for a large fleet, whose answer takes a while to make. */
  largeFleetFreshMs: 10_000,
  largeFleet: 1_000,
} as const;
