import assert from "node:assert/strict";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "./clock.ts";
import { metricsRegistry } from "./metrics.ts";
import { type Handler, httpLimits, type HttpServer, type PlainRoute, serveHttp } from "./service_http.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Runs a server with short times for one test. */
async function withServer(
  handler: Handler,
  test: (server: HttpServer, metrics: ReturnType<typeof metricsRegistry>) => Promise<void>,
  limits: Partial<typeof httpLimits> = {},
  plain?: PlainRoute,
) {
  const metrics = metricsRegistry();
  const server = await serveHttp({
    handler,
    ...plain === undefined ? {} : { plain },
    port: 0,
    limits: { headersMs: 300, requestMs: 600, idleMs: 30_000, checkMs: 50, lingerMs: 300, ...limits },
    clock: machineClock,
    trace: silentTrace,
    metrics,
  });
  try {
    await test(server, metrics);
  } finally {
    await server.close(1_000);
  }
}

/** Sends raw text and returns all that comes back until the server closes or `waitMs` pass. */
async function exchange(port: number, text: string, waitMs = 2_000): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const received: string[] = [];
  const reading = (async () => {
    const buffer = new Uint8Array(65_536);
    for (;;) {
      const count = await connection.read(buffer).catch(() => null);
      if (count === null) return;
      received.push(decoder.decode(buffer.subarray(0, count)));
    }
  })();
  const bytes = encoder.encode(text);
  for (let sent = 0; sent < bytes.length;) {
    const count = await connection.write(bytes.subarray(sent)).catch(() => 0);
    if (count === 0) break;
    sent += count;
  }
  await Promise.race([reading, machineClock.sleep(waitMs)]);
  return received.join("");
}

const echo: Handler = async (request) =>
  new Response(
    JSON.stringify({
      method: request.method,
      path: new URL(request.url).pathname,
      body: await request.text(),
    }),
  );

Deno.test("every answer carries its date: a board without NTP takes the time from it", async () => {
  await withServer(echo, async ({ port }) => {
    const answer = await exchange(port, "GET /v1/readings HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    const date = /\r\ndate: ([^\r]+)\r\n/i.exec(answer)?.[1] ?? "";
    assert.match(date, /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/, answer);
    assert.ok(Math.abs(Date.parse(date) - machineClock.nowMs()) < 60_000);
  });
});

Deno.test("a request's method, path and body reach the handler, the answer has its length", async () => {
  await withServer(echo, async ({ port }) => {
    const answer = await exchange(
      port,
      "POST /a/b?c HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
    );
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /\r\ncontent-length: 46\r\n/i);
    assert.match(answer, /\{"method":"POST","path":"\/a\/b","body":"hello"\}$/);
  });
});

/** Says by which way a request came, and what it held. */
const byHandler: Handler = async (request) => new Response(`handler: ${await request.text()}`);
const byPlain: PlainRoute = {
  path: "/plain",
  handle: ({ header, body }) => {
    const text = decoder.decode(body);
    if (text === "fault") throw new Error("a fault of the route");
    return Promise.resolve({
      status: 202,
      headers: { "content-type": "text/plain", "x-seen": header("x-sent") ?? "none" },
      body: `plain: ${text}`,
    });
  },
};
const post = (path: string, body: string, more = "") =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\n${more}content-length: ${encoder.encode(body).length}\r\n\r\n${body}`;

Deno.test("a short post to the plain route goes the plain way, in order with others on its connection", async () => {
  await withServer(
    byHandler,
    async ({ port }, metrics) => {
      const close = "connection: close\r\n";
      const all = post("/plain", "ä1", "X-Sent: a\r\nx-sent: b\r\n") + post("/other", "2") +
        post("/plain", "3", close);
      const answers = await exchange(port, all);
      const bodies = answers.split(/HTTP\/1\.1 /).slice(1);
      assert.match(bodies[0]!, /^202 .*\r\ncontent-length: 10\r\n.*x-seen: a, b\r\n.*\r\n\r\nplain: ä1$/is);
      assert.match(bodies[1]!, /^200 .*handler: 2$/s);
      assert.match(bodies[2]!, /^202 .*x-seen: none\r\n.*connection: close\r\n.*plain: 3$/is);
      assert.match(metrics.text(), /isotherm_http_requests_total\{status="202"\} 2\n/);
    },
    {},
    byPlain,
  );
});

Deno.test("what isn't a short post of a stated length goes the handler's way", async () => {
  await withServer(
    byHandler,
    async ({ port }) => {
      const close = "connection: close\r\n";
      const chunked =
        "POST /plain HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
      assert.match(await exchange(port, chunked), /handler: a$/);
      assert.match(await exchange(port, post("/plain", "x".repeat(101), close)), /handler: x+$/);
      assert.match(await exchange(port, post("/plain", "x".repeat(100), close)), /plain: x+$/);
      assert.match(await exchange(port, post("/plain?a=b", "a", close)), /handler: a$/);
      assert.match(
        await exchange(port, `PUT /plain HTTP/1.1\r\nhost: x\r\n${close}content-length: 1\r\n\r\na`),
        /handler: a$/,
      );
    },
    { wholeBodyBytesMax: 100 },
    byPlain,
  );
});

Deno.test("a fault of the plain route is answered with 500, and a body that never ends with 408", async () => {
  await withServer(
    byHandler,
    async ({ port }) => {
      assert.match(
        await exchange(port, post("/plain", "fault", "connection: close\r\n")),
        /^HTTP\/1\.1 500 .*"request_id"/s,
      );
      const half = "POST /plain HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf";
      assert.match(await exchange(port, half), /^HTTP\/1\.1 408 /);
      assert.match(await exchange(port, post("/plain", "on", "connection: close\r\n")), /plain: on$/);
    },
    {},
    byPlain,
  );
});

Deno.test("a short body that comes in pieces reaches the plain route whole", async () => {
  await withServer(
    byHandler,
    async ({ port }) => {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port });
      const text = post("/plain", "in pieces");
      for (const [start, end] of [[0, -7], [-7, -3], [-3, text.length]] as const) {
        await connection.write(encoder.encode(text.slice(start, end)));
        await machineClock.sleep(30);
      }
      const buffer = new Uint8Array(1_000);
      assert.match(
        decoder.decode(buffer.subarray(0, await connection.read(buffer) ?? 0)),
        /plain: in pieces$/,
      );
    },
    {},
    byPlain,
  );
});

Deno.test("a large body arrives as a stream, chunked bodies too", async () => {
  await withServer(
    async (request) => new Response(String((await request.text()).length)),
    async ({ url }) => {
      const large = await fetch(url, { method: "POST", body: "x".repeat(3_000_000) });
      assert.equal(await large.text(), "3000000");
      const chunked = await fetch(url, { method: "POST", body: new Blob(["x".repeat(70_000)]).stream() });
      assert.equal(await chunked.text(), "70000");
    },
  );
});

Deno.test("a streamed answer arrives piece by piece", async () => {
  const handler: Handler = () => {
    let pieces = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          if (++pieces > 3) return controller.close();
          await machineClock.sleep(5);
          controller.enqueue(encoder.encode(`piece ${pieces};`));
        },
      }),
    );
  };
  await withServer(handler, async ({ url }) => {
    const response = await fetch(url);
    assert.equal(response.headers.get("content-length"), null);
    assert.equal(await response.text(), "piece 1;piece 2;piece 3;");
  });
});

Deno.test("a length that the handler states is sent once", async () => {
  const handler: Handler = () => new Response("12345", { headers: { "content-length": "5" } });
  await withServer(handler, async ({ port }) => {
    const answer = await exchange(port, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert.equal(answer.toLowerCase().split("content-length").length - 1, 1);
  });
});

Deno.test("HEAD is answered without a body", async () => {
  await withServer(echo, async ({ url }) => {
    const response = await fetch(url, { method: "HEAD" });
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "");
  });
});

Deno.test("pipelined requests are answered in order", async () => {
  await withServer(echo, async ({ port }) => {
    const answer = await exchange(
      port,
      "GET /1 HTTP/1.1\r\nhost: x\r\n\r\nGET /2 HTTP/1.1\r\nhost: x\r\n\r\nGET /3 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    );
    assert.deepEqual([...answer.matchAll(/"path":"\/(\d)"/g)].map((match) => match[1]), ["1", "2", "3"]);
  });
});

Deno.test("answers that nobody takes hold back the requests that are pipelined behind them", async () => {
  let calls = 0;
  const large: Handler = () => {
    calls++;
    return new Response("x".repeat(200_000));
  };
  await withServer(large, async ({ port }) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(encoder.encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000)));
    for (let before = -1; before !== calls;) {
      before = calls;
      await machineClock.sleep(500);
    }
    // The system holds some megabytes on the way.
    assert.ok(calls > 0 && calls < 300, `${calls} of 1,000 were answered`);
  });
});

Deno.test("headers that never end are answered with 408 and the connection is closed", async () => {
  await withServer(echo, async ({ port }) => {
    const startMs = machineClock.monotonicMs();
    assert.match(await exchange(port, "GET / HTTP/1.1\r\nhost: x\r\n"), /^HTTP\/1\.1 408 /);
    assert.ok(machineClock.monotonicMs() - startMs < 1_500);
  });
});

Deno.test("a body that never ends is answered with 408 and the connection is closed", async () => {
  await withServer(echo, async ({ port }) => {
    assert.match(
      await exchange(port, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx"),
      /^HTTP\/1\.1 408 /,
    );
  });
});

Deno.test("oversized headers are answered with 431", async () => {
  await withServer(echo, async ({ port }) => {
    const request = (bytes: number) =>
      `GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: ${"y".repeat(bytes)}\r\n\r\n`;
    assert.match(await exchange(port, request(httpLimits.headerBytesMax - 100)), /^HTTP\/1\.1 200 /);
    assert.match(await exchange(port, request(httpLimits.headerBytesMax + 1)), /^HTTP\/1\.1 431 /);
  });
});

Deno.test("what is no HTTP, or ambiguous about its length, is answered with 400", async () => {
  await withServer(echo, async ({ port }) => {
    for (
      const text of [
        "\x16\x03\x01\x02\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
      ]
    ) assert.match(await exchange(port, text), /^HTTP\/1\.1 400 /, text);
  });
});

Deno.test("the answer to a body that nobody read is complete although the body is still being sent", async () => {
  const refuse: Handler = () => new Response("too large", { status: 413 });
  await withServer(refuse, async ({ port }) => {
    const answer = await exchange(
      port,
      `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n${"x".repeat(3_000_000)}`,
    );
    assert.match(answer, /^HTTP\/1\.1 413 /);
    assert.match(answer, /\r\nconnection: close\r\n/i);
    assert.match(answer, /too large$/);
  });
});

Deno.test("a sender of an endless refused body is cut off", async () => {
  const refuse: Handler = () => new Response("no", { status: 503 });
  await withServer(refuse, async ({ port }) => {
    const startMs = machineClock.monotonicMs();
    const answer = await exchange(
      port,
      "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\nx",
      20_000,
    );
    assert.match(answer, /^HTTP\/1\.1 503 /);
    assert.ok(machineClock.monotonicMs() - startMs < 10_000);
  }, { requestMs: 60_000 });
});

Deno.test("connections beyond the bound are closed and counted, the others go on", async () => {
  await withServer(echo, async ({ port }, metrics) => {
    using _one = await Deno.connect({ hostname: "127.0.0.1", port });
    using two = await Deno.connect({ hostname: "127.0.0.1", port });
    await machineClock.sleep(20);
    assert.equal(await exchange(port, "GET / HTTP/1.1\r\n\r\n"), "");
    await two.write(encoder.encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    const buffer = new Uint8Array(1_000);
    assert.match(decoder.decode(buffer.subarray(0, await two.read(buffer) ?? 0)), /^HTTP\/1\.1 200 /);
    assert.match(metrics.text(), /isotherm_http_connections_dropped_total 1/);
  }, { connectionsMax: 2 });
});

Deno.test("a reader that takes nothing is cut off", async () => {
  let cancelled = false;
  const endless: Handler = () =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(1_000_000)),
        cancel: () => {
          cancelled = true;
        },
      }),
    );
  await withServer(endless, async ({ port }) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(encoder.encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    for (let i = 0; i < 100 && !cancelled; i++) await machineClock.sleep(20);
    assert.equal(cancelled, true);
  }, { writeMs: 200 });
});

/** Resolves when the server has closed the connection, with how long that took from now, or with null after `ms`. */
async function closedWithin(connection: Deno.Conn, ms: number): Promise<number | null> {
  const startMs = machineClock.monotonicMs();
  const buffer = new Uint8Array(65_536);
  const closed = (async () => {
    while (await connection.read(buffer).catch(() => null) !== null);
    return machineClock.monotonicMs() - startMs;
  })();
  return await Promise.race([closed, machineClock.sleep(ms).then(() => null)]);
}

Deno.test("a connection is closed when nothing has come for its idle time, however long an answer took before", async () => {
  const handler: Handler = async () => {
    await machineClock.sleep(700);
    return new Response("slow");
  };
  await withServer(handler, async ({ port }) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(encoder.encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
    const tookMs = await closedWithin(connection, 5_000);
    assert.ok(tookMs !== null && tookMs >= 700 + 300, `closed after ${tookMs} ms`);
  }, { idleMs: 300 });
});

Deno.test("a connection is kept while requests come more often than its idle time", async () => {
  await withServer(echo, async ({ port }) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const buffer = new Uint8Array(1_000);
    for (let i = 0; i < 6; i++) {
      await connection.write(encoder.encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
      assert.match(
        decoder.decode(buffer.subarray(0, await connection.read(buffer) ?? 0)),
        /^HTTP\/1\.1 200 /,
      );
      await machineClock.sleep(250);
    }
  }, { idleMs: 1_000 });
});

const refuseLarge: Handler = () => new Response("too large", { status: 413 });
/** Sends a refused body in pieces of 64 KiB; how many bytes were taken before the connection broke, if it did. */
async function sendRefused(connection: Deno.Conn, bytes: number, pauseMs: number) {
  const head = `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${bytes}\r\n\r\n`;
  await connection.write(encoder.encode(head));
  const piece = new Uint8Array(65_536);
  for (let sent = 0; sent < bytes; sent += piece.length) {
    try {
      await connection.write(piece.subarray(0, Math.min(piece.length, bytes - sent)));
    } catch {
      return sent;
    }
    await machineClock.sleep(pauseMs);
  }
  return bytes;
}

Deno.test("a sender that reads only when it has sent all of a refused body finds the answer", async () => {
  await withServer(refuseLarge, async ({ port }) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    assert.equal(await sendRefused(connection, 2_000_000, 5), 2_000_000);
    const buffer = new Uint8Array(1_000);
    const answer = decoder.decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
    assert.match(answer, /^HTTP\/1\.1 413 .*\r\nconnection: close\r\n.*too large$/is);
    assert.equal(await connection.read(buffer), null);
  }, { lingerBytesMax: 4_000_000, lingerMs: 10_000 });
});

Deno.test("of a refused body no more than the bound is read and thrown away", async () => {
  await withServer(refuseLarge, async ({ port }) => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    // What the system holds on the way comes on top of the bound.
    const sent = await sendRefused(connection, 60_000_000, 0);
    assert.ok(sent > 1_000_000 && sent < 30_000_000, `${sent} bytes were taken`);
  }, { lingerBytesMax: 1_000_000, lingerMs: 30_000 });
});

Deno.test("a handler's fault is answered with 500 as a problem document and the server goes on", async () => {
  let calls = 0;
  await withServer(() => {
    if (++calls === 1) throw new Error("a secret path");
    return new Response("fine");
  }, async ({ url }) => {
    const response = await fetch(url, { headers: { "x-request-id": "r-7" } });
    assert.equal(response.status, 500);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    assert.deepEqual(await response.json(), {
      type: "/reference#internal",
      title: "The service made a mistake",
      status: 500,
      detail: "the service could not answer; its trace says why",
      request_id: "r-7",
    });
    assert.equal(await (await fetch(url)).text(), "fine");
  });
});

Deno.test("closing lets a running request end and says so, or cuts it at the deadline", async () => {
  const metrics = metricsRegistry();
  const options = { port: 0, clock: machineClock, trace: silentTrace, metrics };
  const slow: Handler = async () => {
    await machineClock.sleep(150);
    return new Response("done");
  };
  const patient = await serveHttp({ ...options, handler: slow });
  const running = fetch(patient.url).then((response) => response.text());
  await machineClock.sleep(50);
  assert.equal(await patient.close(2_000), true);
  assert.equal(await running, "done");

  const impatient = await serveHttp({ ...options, handler: slow });
  const cut = fetch(impatient.url).then((response) => response.text(), () => "cut");
  await machineClock.sleep(50);
  assert.equal(await impatient.close(20), false);
  assert.equal(await cut, "cut");
});

Deno.test("an address that is taken is refused with a sentence", async () => {
  await withServer(echo, async ({ port }) => {
    await assert.rejects(
      serveHttp({ handler: echo, port, clock: machineClock, trace: silentTrace, metrics: metricsRegistry() }),
      new Error(`cannot listen on 127.0.0.1:${port}: another process listens there: choose another port`),
    );
  });
});
