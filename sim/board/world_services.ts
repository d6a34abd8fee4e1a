/**
 * What every network of ours offers besides HTTP: names (DNS) and the time (NTP), both answered from the simulated world.
 *
 * Names get addresses of 198.18.0.0/15, which RFC 2544 reserves for tests; an address in that range leads back to its
 * name, so that a real network can connect to the real host.
 */
const DNS_PORT = 53;
const NTP_PORT = 123;
/** Seconds from 1900-01-01 (NTP, RFC 5905) to 1970-01-01. */
const NTP_UNIX_OFFSET_S = 2_208_988_800;

export class WorldServices {
  readonly #nowMs: () => number;
  readonly #nameExists: (name: string) => boolean;
  readonly #addresses = new Map<string, string>();
  readonly #names = new Map<string, string>();

  constructor(nowMs: () => number, nameExists: (name: string) => boolean = () => true) {
    this.#nowMs = nowMs;
    this.#nameExists = nameExists;
  }

  /** The address of `name`; itself if it is an address already; null if there is no such name. */
  resolve(name: string): string | null {
    if (/^\d+(\.\d+){3}$/.test(name)) return name;
    if (!this.#nameExists(name)) return null;
    const known = this.#addresses.get(name);
    if (known !== undefined) return known;
    const number = this.#addresses.size + 1;
    const address = `198.18.${number >> 8}.${number & 255}`;
    this.#addresses.set(name, address);
    this.#names.set(address, name);
    return address;
  }

  /** The name that was given `address`, or `address` itself. */
  nameOf(address: string): string {
    return this.#names.get(address) ?? address;
  }

  /** The answer to a datagram, or null when nobody listens on that port. */
  answer(port: number, bytes: Uint8Array): Uint8Array | null {
    if (port === DNS_PORT) return this.#answerName(bytes);
    if (port === NTP_PORT) return answerTime(bytes, this.#nowMs());
    return null;
  }

  /** RFC 1035, section 4: one question, type A, class IN. */
  #answerName(query: Uint8Array): Uint8Array | null {
    const labels: string[] = [];
    let end = 12;
    for (let length = query[end] ?? 0; length > 0; length = query[end] ?? 0) {
      labels.push(new TextDecoder().decode(query.subarray(end + 1, end + 1 + length)));
      end += 1 + length;
    }
    const question = query.subarray(12, end + 5);
    const address = this.resolve(labels.join("."));
    const NXDOMAIN = 3;
    const header = [query[0] ?? 0, query[1] ?? 0, 0x81, address === null ? 0x80 | NXDOMAIN : 0x80, 0, 1, 0];
    const counts = [address === null ? 0 : 1, 0, 0, 0, 0];
    const answer = address === null
      ? []
      : [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split(".").map(Number)];
    return new Uint8Array([...header, ...counts, ...question, ...answer]);
  }
}

/** RFC 5905, figure 8: mode 4 (server), stratum 1, receive and transmit time stamps. */
function answerTime(query: Uint8Array, nowMs: number): Uint8Array {
  const answer = new Uint8Array(48);
  const view = new DataView(answer.buffer);
  answer[0] = 0x24;
  answer[1] = 1;
  answer.set(query.subarray(40, 48), 24);
  for (const at of [32, 40]) {
    view.setUint32(at, (Math.floor(nowMs / 1000) + NTP_UNIX_OFFSET_S) % 2 ** 32);
    view.setUint32(at + 4, Math.floor((nowMs % 1000) * 2 ** 32 / 1000));
  }
  return answer;
}
