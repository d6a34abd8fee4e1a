/** Modules whose corners the scenarios don't reach, by themselves. */
import assert from "node:assert/strict";
import { PythonDesk } from "./testing/python_desk.ts";

async function printed(code: string): Promise<string> {
  const python = await PythonDesk.create();
  python.run(code);
  return python.printed();
}

Deno.test("pending: whatever is acknowledged in whatever order, nothing that waits is forgotten", async () => {
  const code = `
from pending import Pending
state = 7
def number(bound):
    global state
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % bound
worst = 0
for _ in range(60):
    pending, waiting, top = Pending(0), set(), 0
    for _ in range(40):
        if number(2):
            count = number(9)
            waiting |= set(range(top, top + count))
            top += count
            pending.grow(top)
        else:
            start = number(top + 1)
            end = start + number(12)
            waiting -= set(range(start, end))
            pending.remove(start, end)
        spans = pending.spans()
        kept = [place for low, high in spans for place in range(low, high)]
        assert waiting <= set(kept), (waiting, spans)
        assert kept == sorted(set(kept)) and spans[-1][1] == top and len(spans) <= 8, spans
        assert pending.tail() == spans[0][0]
        worst = max(worst, len(spans))
print(worst)
`;
  assert.equal(await printed(code), "8\n", "the bound was reached");
});

Deno.test("HTTP dates: leap years, ends of months, and nonsense", async () => {
  const code = `
from time_source import http_date_ms
for text in ("thu, 01 jan 1970 00:00:00 gmt", "thu, 29 feb 2024 23:59:59 gmt", "mon, 24 nov 2025 16:00:00 gmt", "", "soon",
             "thu, 29 foo 2024 23:59:59 gmt"):
    print(http_date_ms(text))
`;
  assert.equal(await printed(code), "500\n1709251199500\n1764000000500\nNone\nNone\nNone\n");
});

Deno.test("NTP: the seconds of 1900 wrap in 2036", async () => {
  const code = `
import ntp_client, struct
print(ntp_client.unix_ms_of(struct.pack(">II", 3972988800, 1 << 31), 0))
print(ntp_client.unix_ms_of(struct.pack(">II", 0, 0), 0))
`;
  assert.equal(
    await printed(code),
    `${(3_972_988_800 - 2_208_988_800) * 1000 + 500}\n${(2 ** 32 - 2_208_988_800) * 1000}\n`,
  );
});

Deno.test("DNS: an alias before the address, a cut answer, another name's error", async () => {
  const code = `
from dns_client import first_address, query_for
query = query_for("ingest.sim", 258)
print(query)
head = b"\\x01\\x02\\x81\\x80\\x00\\x01\\x00\\x02\\x00\\x00\\x00\\x00" + query[12:]
alias = b"\\xc0\\x0c\\x00\\x05\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x02\\xc0\\x0c"
address = b"\\xc0\\x0c\\x00\\x01\\x00\\x01\\x00\\x00\\x00\\x3c\\x00\\x04\\x0a\\x00\\x00\\x07"
answer = head + alias + address
print(first_address(answer, len(answer)))
print([first_address(answer, length) for length in range(len(answer)) if first_address(answer, length)])
print(first_address(b"\\x01\\x02\\x81\\x83" + answer[4:], len(answer)))
`;
  assert.equal(
    await printed(code),
    "b'\\x01\\x02\\x01\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x06ingest\\x03sim\\x00\\x00\\x01\\x00\\x01'\n" +
      "10.0.0.7\n[]\nNone\n",
  );
});

Deno.test("the grid: aligned once the time is known, never two slots too close, late ones skipped", async () => {
  const code = `
from sampler import next_slot
print(next_slot(1500, 1800, 10000, None), next_slot(10000, 10300, 10000, None))
print(next_slot(1500, 1800, 10000, 123), next_slot(9877, 10200, 10000, 123))
print(next_slot(1500, 1800, 2000, 123), next_slot(3877, 4100, 2000, 123))
print(next_slot(20000, 47000, 10000, None))
`;
  assert.equal(await printed(code), "10000 20000\n9877 19877\n3877 5877\n50000\n");
});
