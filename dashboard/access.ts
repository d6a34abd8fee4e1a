/**
 * Who may look. On loopback everybody on this machine; else whoever has signed in with the token.
 *
 * - A call by another name than our own is refused: a page elsewhere could give its name our address (DNS rebinding).
 * - What changes something has to come from our own pages: `Sec-Fetch-Site`, or `Origin` where that is missing.
 * - A session is 256 random bits in a cookie that no script reads and no other site sends; kept here as hash, in memory:
 *   a restart signs everybody out.
 * - Wrong tokens are few a minute, whoever sends them.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock } from "../core/ports/clock.ts";
import type { Random } from "../core/ports/random.ts";
import { type DashboardConfig, dashboardLimits } from "./config.ts";

export interface Access {
  /** Null when the request may go on, else why not. */
  refusal(request: Request): { readonly status: 401 | 403; readonly detail: string } | null;
  /** The request's cookie is of a session, or nobody needs one. */
  isSignedIn(request: Request): boolean;
  /** The cookie of a new session; a sentence when the token is wrong or too many were. */
  signIn(
    token: string,
  ): { readonly cookie: string } | { readonly status: 401 | 429; readonly detail: string };
  /** Ends the request's session; the cookie that takes the old one away. */
  signOut(request: Request): string;
}

const hash = (text: string) => createHash("sha256").update(text, "utf8").digest();

export function createAccess(config: DashboardConfig, clock: Clock, random: Random): Access {
  const { tokenHash, isSecure } = config;
  const hosts = new Set(config.hosts.map((host) => host.toLowerCase()));
  /** Hash of the session → its end, oldest first. */
  const sessions = new Map<string, number>();
  let attempts: number[] = [];
  // `__Host-` binds a cookie to this host, and is for encrypted connections only.
  const name = isSecure ? "__Host-isotherm" : "isotherm";
  const cookie = (value: string, ageSeconds: number) =>
    `${name}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${ageSeconds}${isSecure ? "; Secure" : ""}`;

  const sessionOf = (request: Request): string | null => {
    for (const part of (request.headers.get("cookie") ?? "").split(";")) {
      const [key, value] = part.trim().split("=", 2);
      if (key === name && value !== undefined && /^[0-9a-f]{64}$/.test(value)) {
        return hash(value).toString("hex");
      }
    }
    return null;
  };
  const isSignedIn = (request: Request) => {
    if (tokenHash === null) return true;
    const session = sessionOf(request);
    return session !== null && (sessions.get(session) ?? 0) > clock.nowMs();
  };

  return {
    isSignedIn,
    refusal(request) {
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
      return isSignedIn(request) ? null : { status: 401, detail: "Sign in first." };
    },
    signIn(token) {
      if (tokenHash === null) return { cookie: cookie("", 0) };
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
      return { cookie: cookie(value, dashboardLimits.sessionMs / 1_000) };
    },
    signOut(request) {
      const session = sessionOf(request);
      if (session !== null) sessions.delete(session);
      return cookie("", 0);
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
