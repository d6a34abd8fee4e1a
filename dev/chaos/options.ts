/** What `deno task chaos` can be told. Pure; every problem is reported. */

export interface ChaosOptions {
  /** So long things go wrong; then all has to come to rest. */
  readonly minutes: number;
  readonly seed: number;
  readonly boards: number;
}

export const chaosHelp = `deno task chaos [--minutes M] [--seed N] [--boards N]

Real processes, a real Kafka broker and real sockets, model boards in real time, and everything goes wrong: kills,
stopped processes, restarts of the broker, a full disk, a slow network. Then the rows are held against what the boards
measured and against the oracle. Needs Java 17 and Maven; the full disk needs Linux and the right to mount.

  --minutes M   minutes of faults (default 5)
  --seed N      what goes wrong when (default 1)
  --boards N    model boards (default 6)`;

export type ParsedChaos =
  | { readonly kind: "options"; readonly options: ChaosOptions }
  | { readonly kind: "help" }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

const ranges = { minutes: [0.1, 1_440], seed: [0, 1e9], boards: [1, 100] } as const;

export function parseChaosOptions(args: readonly string[]): ParsedChaos {
  const problems: string[] = [];
  const options = { minutes: 5, seed: 1, boards: 6 };
  for (let i = 0; i < args.length; i++) {
    const name = args[i]?.slice(2) as keyof typeof ranges;
    if (args[i] === "--help") return { kind: "help" };
    if (!args[i]?.startsWith("--") || ranges[name] === undefined) {
      problems.push(`${args[i]} is unknown: see --help`);
      continue;
    }
    const text = args[++i];
    const value = text === undefined || text === "" ? NaN : Number(text);
    const [min, max] = ranges[name];
    const isWhole = name === "minutes" || Number.isInteger(value);
    if (value >= min && value <= max && isWhole) options[name] = value;
    else {
      problems.push(
        `--${name} is a${isWhole ? "" : " whole"} number from ${min} to ${max}, not ${
          JSON.stringify(text ?? "")
        }`,
      );
    }
  }
  return problems.length > 0 ? { kind: "problems", problems } : { kind: "options", options };
}
