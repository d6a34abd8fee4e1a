/** HTTPS by certificate files, which may be renewed while the service runs: `certbot` and its like just replace them. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Clock } from "../core/ports/clock.ts";
import type { Trace } from "../core/ports/trace.ts";
import { type SettingValues, textSetting } from "../core/settings.ts";
import type { HttpServer } from "./service_http.ts";
import { watchFiles } from "./watched_file.ts";

export const tlsSettings = {
  tlsCert: textSetting({
    env: "ISOTHERM_TLS_CERT",
    unit: "path",
    range: "a PEM file: the certificate and those above it",
    pattern: /^.+$/,
    fallback: null,
    consequence:
      "With `ISOTHERM_TLS_KEY` the service speaks HTTPS; both are read again within a second of a change.",
  }),
  tlsKey: textSetting({
    env: "ISOTHERM_TLS_KEY",
    unit: "path",
    range: "a PEM file: the private key",
    pattern: /^.+$/,
    fallback: null,
    consequence: "The key of `ISOTHERM_TLS_CERT`.",
  }),
} as const;

export interface TlsFiles {
  /** For `serveHttp`. */
  readonly tls: { readonly cert: string; readonly key: string };
  /** From now on the server gets what changes. */
  attach(server: HttpServer): void;
  stop(): void;
}

/** Reads the files; null when none are set. Rejects with a sentence when they don't make a certificate with its key. */
export async function openTlsFiles(
  { tlsCert, tlsKey }: SettingValues<typeof tlsSettings>,
  clock: Clock,
  trace: Trace,
): Promise<TlsFiles | null> {
  if (tlsCert === null && tlsKey === null) return null;
  if (tlsCert === null || tlsKey === null) {
    throw new Error("ISOTHERM_TLS_CERT and ISOTHERM_TLS_KEY belong together: set both or none");
  }
  let server: HttpServer | null = null;
  const pairOf = ([cert = "", key = ""]: readonly string[]) => {
    // Checked here: Deno's `setSecureContext` (2.9.6) takes anything, and then no handshake succeeds.
    let reason = "the key is of another certificate";
    try {
      if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return { cert, key };
    } catch (error) {
      reason = (error as Error).message;
    }
    throw new Error(`${tlsCert} and ${tlsKey} are no certificate with its key: ${reason}`);
  };
  const watched = await watchFiles(
    [tlsCert, tlsKey],
    clock,
    (texts) => {
      server?.renew(pairOf(texts));
      trace.emit("info", "service.certificate_renewed", { path: tlsCert });
    },
    ({ message }) =>
      trace.emit("error", "service.certificate_kept", {
        message,
        hint: "the certificate read before stays in force",
      }),
  );
  try {
    const tls = pairOf(watched.texts);
    return {
      tls,
      attach: (to) => {
        server = to;
      },
      stop: () => watched.stop(),
    };
  } catch (error) {
    watched.stop();
    throw error;
  }
}
