import assert from "node:assert/strict";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "./clock.ts";
import { metricsRegistry } from "./metrics.ts";
import { serveHttp } from "./service_http.ts";
import { openTlsFiles } from "./service_tls.ts";

const file = (name: string) => new URL(`testing/tls/${name}`, import.meta.url).pathname;

/** Asks over HTTPS, trusting one authority only. */
async function ask(url: string, authority: string): Promise<string> {
  const client = Deno.createHttpClient({ caCerts: [await Deno.readTextFile(file(authority))] });
  try {
    return await (await fetch(url.replace("127.0.0.1", "localhost"), { client })).text();
  } catch (error) {
    return (error as Error).message;
  } finally {
    client.close();
  }
}

Deno.test("a server speaks HTTPS, and takes renewed certificates without a restart", async () => {
  const folder = await Deno.makeTempDir();
  const [tlsCert, tlsKey] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  const put = async (name: string) => {
    await Deno.copyFile(file(`${name}.crt`), tlsCert);
    await Deno.copyFile(file(`${name}.key`), tlsKey);
  };
  await put("one");
  const files = await openTlsFiles({ tlsCert, tlsKey }, machineClock, silentTrace);
  assert.ok(files !== null);
  const server = await serveHttp({
    handler: () => new Response("hello"),
    port: 0,
    tls: files.tls,
    clock: machineClock,
    trace: silentTrace,
    metrics: metricsRegistry(),
  });
  files.attach(server);
  try {
    assert.match(server.url, /^https:/);
    assert.equal(await ask(server.url, "ca_one.crt"), "hello");
    assert.notEqual(await ask(server.url, "ca_two.crt"), "hello");
    await put("two");
    for (let tries = 0; tries < 60 && await ask(server.url, "ca_two.crt") !== "hello"; tries++) {
      await machineClock.sleep(50);
    }
    assert.equal(await ask(server.url, "ca_two.crt"), "hello");
    assert.notEqual(await ask(server.url, "ca_one.crt"), "hello");
    // Broken files leave the certificate in force.
    await Deno.writeTextFile(tlsKey, "nonsense");
    await machineClock.sleep(1_200);
    assert.equal(await ask(server.url, "ca_two.crt"), "hello");
  } finally {
    files.stop();
    await server.close(1_000);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("half a pair, or a key of another certificate, is refused with a sentence", async () => {
  const open = (tlsCert: string | null, tlsKey: string | null) =>
    openTlsFiles({ tlsCert, tlsKey }, machineClock, silentTrace);
  assert.equal(await open(null, null), null);
  await assert.rejects(open(file("one.crt"), null), /set both or none/);
  await assert.rejects(open(file("one.crt"), file("two.key")), /are no certificate with its key/);
  await assert.rejects(open(file("one.key"), file("one.key")), /are no certificate with its key/);
});
