/** Who may write what, as ingest sees it. `key_ring.ts` implements it on hashed keys. */
import type { Incoming } from "./incoming.ts";

export interface Grant {
  /** Name of the key, for trace and fairness; never the secret. */
  readonly key: string;
  /** May append control records too. */
  readonly isAdmin: boolean;
  /** True if the key may write readings of `device`. */
  allows(device: string): boolean;
}

export interface Authority {
  /** The grant of a secret (null: none was sent), or null when it grants nothing. Takes equally long for any wrong secret. */
  check(secret: string | null): Grant | null;
}

/** Everybody may write everything: for loopback. */
export const openAuthority: Authority = { check: () => ({ key: "", isAdmin: true, allows: () => true }) };

/** The secret of `Authorization: Bearer …` or `Token …` (InfluxDB's clients), or of `X-Api-Key`. */
export function secretOf({ header }: Pick<Incoming, "header">): string | null {
  const authorization = header("authorization");
  const bearer = authorization === null ? null : /^(?:Bearer|Token) +(\S+)$/i.exec(authorization);
  return bearer?.[1] ?? header("x-api-key");
}
