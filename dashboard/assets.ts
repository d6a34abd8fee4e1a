/**
 * The pages' files, as they lie in `pages/` and in npm's cache: read once, served with a strong validator, compressed
 * once. Nobody builds anything, and the browser asks nobody else.
 */
import { acceptsGzip, gzipped } from "./answers.ts";
import { vendored } from "./vendored.ts";

interface Asset {
  readonly bytes: Uint8Array;
  /** Made when somebody takes it, once. */
  gzip(): Promise<Uint8Array>;
  readonly type: string;
  readonly etag: string;
}

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  webmanifest: "application/manifest+json",
};

export interface Assets {
  /** The answer for a path such as `/app.js` or `/vendor/uplot.js`; null when there is no such file. */
  answer(path: string, request: Request): Promise<Response> | null;
}

/** Reads all files of `pages/`. */
export async function readAssets(): Promise<Assets> {
  const assets = new Map<string, Asset>();
  for await (const path of filesBelow(new URL("./pages/", import.meta.url), "/")) {
    assets.set(path.name, await assetOf(path.name, await Deno.readTextFile(path.url)));
  }
  for (const [name, text] of vendored) assets.set(`/vendor/${name}`, await assetOf(name, text));
  return {
    answer(path, request) {
      const asset = assets.get(path);
      return asset === undefined ? null : answerOf(asset, request);
    },
  };
}

async function* filesBelow(folder: URL, prefix: string): AsyncGenerator<{ name: string; url: URL }> {
  for await (const entry of Deno.readDir(folder)) {
    const url = new URL(encodeURIComponent(entry.name) + (entry.isDirectory ? "/" : ""), folder);
    if (entry.isDirectory) yield* filesBelow(url, `${prefix}${entry.name}/`);
    else if (!/_test\.ts$/.test(entry.name)) yield { name: prefix + entry.name, url };
  }
}

async function assetOf(name: string, text: string): Promise<Asset> {
  const bytes = new TextEncoder().encode(text);
  let gzip: Promise<Uint8Array> | undefined;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return {
    bytes,
    gzip: () => gzip ??= new Response(gzipped(text)).bytes(),
    type: types[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream",
    etag: `"${digest.toHex().slice(0, 32)}"`,
  };
}

async function answerOf({ bytes, gzip, type, etag }: Asset, request: Request): Promise<Response> {
  const headers = new Headers({ "content-type": type, etag, vary: "accept-encoding" });
  if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  const compressed = acceptsGzip(request);
  if (compressed) headers.set("content-encoding", "gzip");
  return new Response(request.method === "HEAD" ? null : (compressed ? await gzip() : bytes) as BodyInit, {
    headers,
  });
}
