/**
 * Who may look. On loopback everybody on this machine; else whoever has signed in with the token.
 *
 * - A call by another name than our own is refused: a page elsewhere could give its name our address (DNS rebinding).
 * - What changes something has to come from our own pages: `Sec-Fetch-Site`, or `Origin` where that is missing.
 * - A session is 256 random bits in a cookie that no script reads and no other site sends; kept here as hash, in memory:
 *   a restart signs everybody out.
 * - Where the connection is encrypted, which a proxy of ours says in its `X-Forwarded-Proto`, the cookie is for encrypted
 *   connections to this host only. Anybody else's word is not taken: it could make the cookie one that never comes back.
 * - Wrong tokens are few a minute, whoever sends them.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "../core/ports/clock.ts";
import type { Random } from "../core/ports/random.ts";
import { type DashboardConfig, dashboardLimits } from "./config.ts";

/** Who asks. */
export interface Caller {
  /** IP address at the other end of the connection; empty if unknown. */
  readonly address: string;
}

export interface Access {
  /** Null when the request may go on, else why not. */
  refusal(request: Request, caller: Caller): { readonly status: 401 | 403; readonly detail: string } | null;
  /** The cookie of a new session; a sentence when the token is wrong or too many were. */
  signIn(
    token: string,
    request: Request,
    caller: Caller,
  ): { readonly cookie: string } | { readonly status: 401 | 429; readonly detail: string };
  /** Ends the request's session; the cookie that takes the old one away. */
  signOut(request: Request, caller: Caller): string;
}

const hash = (text: string) => createHash("sha256").update(text, "utf8").digest();

export function createAccess(config: DashboardConfig, clock: Clock, random: Random): Access {
  const { tokenHash } = config;
  const proxies = new Set(config.proxies);
  const hosts = new Set(config.hosts.map((host) => host.toLowerCase()));
  /** Hash of the session → its end, oldest first. */
  const sessions = new Map<string, number>();
  let attempts: number[] = [];
  const isSecure = (request: Request, { address }: Caller) =>
    proxies.has(address.replace(/^::ffff:(?=\d+\.)/, "")) &&
    // The proxy's own word comes last, behind what it was told.
    request.headers.get("x-forwarded-proto")?.split(",").at(-1)?.trim().toLowerCase() === "https";
  // `__Host-` binds a cookie to this host, and is for encrypted connections only.
  const nameOf = (secure: boolean) => secure ? "__Host-isotherm" : "isotherm";
  const cookie = (value: string, ageSeconds: number, secure: boolean) =>
    `${nameOf(secure)}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${ageSeconds}${
      secure ? "; Secure" : ""
    }`;

  const sessionOf = (request: Request, caller: Caller): string | null => {
    const name = nameOf(isSecure(request, caller));
    for (const part of (request.headers.get("cookie") ?? "").split(";")) {
      const [key, value] = part.trim().split("=", 2);
      if (key === name && value !== undefined && /^[0-9a-f]{64}$/.test(value)) {
        return hash(value).toString("hex");
      }
    }
    return null;
  };
  const isSignedIn = (request: Request, caller: Caller) => {
    if (tokenHash === null) return true;
    const session = sessionOf(request, caller);
    return session !== null && (sessions.get(session) ?? 0) > clock.nowMs();
  };

  return {
    refusal(request, caller) {
      const host = hostOf(request.headers.get("host") ?? "");
      if (!hosts.has(host)) {
        return {
          status: 403,
          detail: `This is not ${host}: open the address that was printed at the start.`,
        };
      }
      const isRead = request.method === "GET" || request.method === "HEAD";
      if (!isRead && !isOwnPage(request)) {
        return { status: 403, detail: "Another site's page sent this." };
      }
      return isSignedIn(request, caller) ? null : { status: 401, detail: "Sign in first." };
    },
    signIn(token, request, caller) {
      const secure = isSecure(request, caller);
      if (tokenHash === null) return { cookie: cookie("", 0, secure) };
      const nowMs = clock.nowMs();
      attempts = attempts.filter((atMs) => atMs > nowMs - 60_000 && atMs <= nowMs);
      if (attempts.length >= dashboardLimits.attemptsPerMinuteMax) {
        return { status: 429, detail: "Too many wrong tokens: wait a minute." };
      }
      if (!timingSafeEqual(hash(token), tokenHash)) {
        attempts.push(nowMs);
        return { status: 401, detail: "That is not the token." };
      }
      const value = Array.from({ length: 8 }, () => random.uint32().toString(16).padStart(8, "0")).join("");
      sessions.set(hash(value).toString("hex"), nowMs + dashboardLimits.sessionMs);
      for (const oldest of sessions.keys()) {
        if (sessions.size <= dashboardLimits.sessionsMax) break;
        sessions.delete(oldest);
      }
      return { cookie: cookie(value, dashboardLimits.sessionMs / 1_000, secure) };
    },
    signOut(request, caller) {
      const session = sessionOf(request, caller);
      if (session !== null) sessions.delete(session);
      return cookie("", 0, isSecure(request, caller));
    },
  };
}

/** The name without its port, in lower case; `[::1]` keeps its brackets. */
function hostOf(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, "");
}

function isOwnPage(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null) return site === "same-origin" || site === "none";
  const origin = request.headers.get("origin");
  if (origin === null) return true; // no browser: nothing it could be tricked into
  try {
    return new URL(origin).host.toLowerCase() === (request.headers.get("host") ?? "").toLowerCase();
  } catch {
    return false;
  }
}
