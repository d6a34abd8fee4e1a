/** Limits as declared tables: one declaration gives the code its number and people the table with its consequence. */

export interface LimitSpec {
  readonly value: number;
  readonly unit: string;
  /** What is bounded, and why at this number. */
  readonly meaning: string;
  /** What happens at the bound. */
  readonly consequence: string;
}

export type LimitSpecs = Readonly<Record<string, LimitSpec>>;
export type LimitValues<S extends LimitSpecs> = { readonly [K in keyof S]: number };

/** The numbers of a table by name. */
export function limitValues<S extends LimitSpecs>(specs: S): LimitValues<S> {
  return Object.fromEntries(Object.entries(specs).map(([name, { value }]) => [name, value])) as LimitValues<
    S
  >;
}

/** Bounds of every service's HTTP server. */
export const httpLimitSpecs = {
  headerBytesMax: {
    value: 16_384,
    unit: "bytes",
    meaning: "request line and headers together",
    consequence: "431, the connection is closed",
  },
  headersMs: {
    value: 10_000,
    unit: "ms",
    meaning: "from the first byte of a request to the end of its headers",
    consequence: "408, the connection is closed",
  },
  requestMs: {
    value: 60_000,
    unit: "ms",
    meaning: "from the first byte of a request to the end of its body; a service may be stricter",
    consequence: "408, the connection is closed",
  },
  idleMs: {
    value: 75_000,
    unit: "ms",
    meaning: "a connection between two requests; longer than a board's interval, so that it keeps its own",
    consequence: "the connection is closed",
  },
  connectionsMax: {
    value: 4_096,
    unit: "connections",
    meaning: "connections at one time",
    consequence: "closed at once, counted in isotherm_http_connections_dropped_total",
  },
  pipelinedMax: {
    value: 8,
    unit: "requests",
    meaning: "requests that wait on one connection behind the one that is being answered",
    consequence: "no more is read from the connection until they are answered and the answers taken",
  },
  writeMs: {
    value: 30_000,
    unit: "ms",
    meaning: "a reader that takes nothing of its answer",
    consequence: "the answer is cut off, the connection closed",
  },
  lingerBytesMax: {
    value: 4_194_304,
    unit: "bytes",
    meaning: "of a body that was refused, read and thrown away so that the answer arrives",
    consequence: "the connection is closed",
  },
  lingerMs: {
    value: 2_000,
    unit: "ms",
    meaning: "the same, in time",
    consequence: "the connection is closed",
  },
  wholeBodyBytesMax: {
    value: 16_384,
    unit: "bytes",
    meaning: "a body that is handed on whole",
    consequence: "larger ones are handed on as they arrive",
  },
  checkMs: {
    value: 1_000,
    unit: "ms",
    meaning: "between two looks at the times of headers and bodies",
    consequence: "a bound in time is kept to this precision",
  },
} as const satisfies LimitSpecs;

export type HttpLimits = LimitValues<typeof httpLimitSpecs>;
