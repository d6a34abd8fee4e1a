/** Answers in the forms that the pages read. */

/** Texts above are worth compressing. */
const GZIP_LENGTH_MIN = 4_096;

/** JSON, compressed when it is long and the reader takes that. */
export function json(request: Request, value: unknown, status = 200): Response {
  const text = JSON.stringify(value);
  const headers = new Headers({ "content-type": "application/json", "cache-control": "no-store" });
  if (text.length < GZIP_LENGTH_MIN || !acceptsGzip(request)) return new Response(text, { status, headers });
  headers.set("content-encoding", "gzip");
  headers.set("vary", "accept-encoding");
  return new Response(gzipped(text), { status, headers });
}

/** RFC 9457. `detail` is a sentence for the person in front of the page. */
export function problem(status: number, detail: string): Response {
  return new Response(
    JSON.stringify({ type: "about:blank", title: titles[status] ?? "Not possible", status, detail }),
    {
      status,
      headers: { "content-type": "application/problem+json", "cache-control": "no-store" },
    },
  );
}

const titles: Readonly<Record<number, string>> = {
  400: "The request can't be understood",
  401: "Sign in first",
  403: "This is not allowed",
  404: "There is nothing here",
  413: "The request is too large",
  429: "Too many attempts",
  502: "The aggregator can't be reached",
  503: "This isn't available now",
};

export function acceptsGzip(request: Request): boolean {
  return /\bgzip\b/.test(request.headers.get("accept-encoding") ?? "");
}

export function gzipped(text: string): ReadableStream<Uint8Array> {
  return new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
}

/** A text as an SQL literal. DuckDB knows no escapes in it but the doubled quote. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** An integer from a query parameter, or null when it is none or out of range. */
export function integer(text: string | undefined, min: number, max: number): number | null {
  if (text === undefined || !/^-?\d{1,15}$/.test(text)) return null;
  const value = Number(text);
  return value >= min && value <= max ? value : null;
}
