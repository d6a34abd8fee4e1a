/**
 * The way of readings into the log, whatever door they came through (HTTP in its formats, MQTT): who may, within which
 * bounds, in whose turn, and what the sender is told. Doors only translate.
 */
import type { JudgeConfig } from "../core/config.ts";
import { partitionOf } from "../core/murmur2.ts";
import type { Appended, NewRecord } from "../core/ports/log.ts";
import { formatVersion, headerNames } from "../core/schema.ts";
import { type Refusal, refused } from "./answers.ts";
import { type Authority, type Grant, openAuthority } from "./authority.ts";
import { ByteBudget } from "./body.ts";
import { Dispatcher } from "./dispatcher.ts";
import { encodingOf, expand } from "./encoding.ts";
import type { Incoming } from "./incoming.ts";
import { type Flagged, flaggedOf, type Parcel } from "./parcel.ts";
import type { IngestConfig, IngestPorts } from "./ports.ts";

/** What became of a request whose records are in the log. */
export interface Taken {
  readonly kind: "taken";
  readonly readings: number;
  readonly flagged: readonly Flagged[];
  readonly credit: number;
}

/** A body in memory; `release` gives its room back. */
export interface HeldBody {
  readonly kind: "held";
  readonly bytes: Uint8Array;
  release(): void;
}

export class Intake {
  readonly #ports: IngestPorts;
  readonly #config: IngestConfig;
  readonly #authority: Authority;
  readonly #dispatcher: Dispatcher;
  readonly #budget: ByteBudget;

  constructor(ports: IngestPorts, config: IngestConfig) {
    this.#ports = ports;
    this.#config = config;
    this.#authority = ports.authority ?? openAuthority;
    this.#dispatcher = new Dispatcher(ports, config.limits);
    this.#budget = new ByteBudget(config.limits.heldBytesMax, () => this.#dispatcher.retryAfterMs());
  }

  /** What stands before every request: no browser's page sent it, the key is valid, and the log takes records. */
  admit(
    request: Incoming,
    secret: string | null,
  ): { readonly kind: "admitted"; readonly grant: Grant } | Refusal {
    if (request.header("origin") !== null) {
      return refused("not-allowed", "a page in a browser sent this: readings are taken from programs only");
    }
    const grant = this.#authority.check(secret);
    if (grant === null) {
      return refused("no-key", "the request has no valid key", { headers: { "www-authenticate": "Bearer" } });
    }
    return this.#dispatcher.closed() ?? { kind: "admitted", grant };
  }

  /** Reads and expands a body within its bounds. The caller releases it. */
  async body(request: Incoming, bytesMax: number): Promise<HeldBody | Refusal> {
    const encoding = encodingOf(request.header("content-encoding"));
    if (encoding.kind === "refused") return encoding;
    const { bodyMs } = this.#config.limits;
    const body = await request.read({ bytesMax, bodyMs }, this.#budget, this.#ports.clock);
    if (body.kind === "refused") return body;
    let held = body.bytes.length;
    const release = () => this.#budget.give(held);
    const expanded = expand(encoding.encoding, body.bytes, bytesMax);
    const more = expanded.kind === "expanded" ? expanded.bytes.length - held : 0;
    if (expanded.kind === "refused" || (more > 0 && !this.#budget.take(more))) {
      release();
      if (expanded.kind === "refused") return expanded;
      return refused("busy", "too many bodies are being received", {
        retryAfterMs: this.#dispatcher.retryAfterMs(),
      });
    }
    if (more < 0) this.#budget.give(-more);
    held += more;
    return { kind: "held", bytes: expanded.bytes, release };
  }

  /** Appends batches whole, in the sender's turn. */
  async append(grant: Grant, parcels: readonly Parcel[], bytes: number): Promise<Taken | Refusal> {
    const { metrics } = this.#ports;
    const readings = parcels.reduce((sum, parcel) => sum + parcel.readings, 0);
    const foreign = parcels.find(({ device }) => !grant.allows(device));
    if (foreign !== undefined) {
      return refused("not-allowed", `the key may not write for ${JSON.stringify(foreign.device)}`);
    }
    const records = parcels.map(({ device, value }) => this.#record(device, value, RECORD_HEADERS));
    const sender = senderOf(parcels, grant);
    const outcome = await this.#dispatcher.submit({ sender, records, readings, bytes });
    if (outcome.kind === "refused") return outcome;
    const flagged = allFlagged(parcels, outcome.appended, this.#config.judge);
    metrics.count("isotherm_ingest_readings_total", readings);
    for (const { reason } of flagged) metrics.count("isotherm_ingest_flagged_total", 1, { reason });
    const credit = this.#dispatcher.credit();
    metrics.gauge("isotherm_ingest_credit_readings", credit);
    return { kind: "taken", readings, flagged, credit };
  }

  /** Appends one control record under its device's key. */
  async control(
    grant: Grant,
    device: string,
    kind: "device" | "release",
    value: Uint8Array,
  ): Promise<Appended | Refusal> {
    if (!grant.isAdmin || !grant.allows(device)) {
      return refused("not-allowed", `the key may not act for ${JSON.stringify(device)}: an admin's may`);
    }
    const record = this.#record(device, value, { ...RECORD_HEADERS, [headerNames.kind]: kind });
    const outcome = await this.#dispatcher.submit({
      sender: `device ${device}`,
      records: [record],
      readings: 0,
      bytes: value.length,
    });
    return outcome.kind === "refused" ? outcome : outcome.appended[0]!;
  }

  /** Null when readings are taken, else a sentence. */
  ready(): string | null {
    this.#ports.metrics.gauge("isotherm_ingest_held_bytes", this.#budget.bytes);
    return this.#dispatcher.closed()?.detail ?? null;
  }

  stop(): Promise<void> {
    return this.#dispatcher.stop();
  }

  #record(device: string, value: Uint8Array, headers: Readonly<Record<string, string>>): NewRecord {
    return { partition: partitionOf(device, this.#ports.log.partitions), key: device, value, headers };
  }
}

const RECORD_HEADERS = { [headerNames.version]: formatVersion };

/** Whose turn a request uses: the device's, or that of the key that sends for several. */
function senderOf(parcels: readonly Parcel[], grant: Grant): string {
  const { device } = parcels[0]!;
  return parcels.every((parcel) => parcel.device === device) ? `device ${device}` : `key ${grant.key}`;
}

function allFlagged(
  parcels: readonly Parcel[],
  appended: readonly Appended[],
  judge: Pick<JudgeConfig, "futureMs">,
): Flagged[] {
  let start = 0;
  return parcels.flatMap((parcel, place) => {
    const flagged = flaggedOf(parcel, start, appended[place]!.appendMs, judge);
    start += parcel.readings;
    return flagged;
  });
}
