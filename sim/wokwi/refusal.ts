/** Why a command wasn't carried out: what a client is told in a failed reply. */
export interface Refusal {
  readonly kind: "refusal";
  /** As in HTTP: 400 wrong parameters, 404 unknown, 409 not now, 413 too large, 501 can't be simulated, 500 our fault. */
  readonly code: number;
  /** A sentence: what was asked, what is the case, what would do. */
  readonly message: string;
}

export const refusal = (code: number, message: string): Refusal => ({ kind: "refusal", code, message });

/** True for a {@link Refusal}; anything else is a result. */
export function isRefusal(value: unknown): value is Refusal {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "refusal";
}

/** `a, b and c`; "none" for nothing. */
export function listOf(names: Iterable<string>): string {
  const all = [...names];
  const last = all.pop();
  if (last === undefined) return "none";
  return all.length === 0 ? last : `${all.join(", ")} and ${last}`;
}
