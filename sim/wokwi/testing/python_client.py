"""A full scenario with Wokwi's own Python client (PyPI wokwi-client 0.5.1) on the server at WOKWI_CLI_SERVER.

Prints what it saw as one JSON object.
"""
import asyncio
import json
import sys
from pathlib import Path

from wokwi_client import WokwiClient


async def main(folder):
    client = WokwiClient("any-token")
    seen = {"hello": await client.connect()}
    serial = bytearray()
    changes = []
    client._transport.add_event_listener("pin:change", lambda event: changes.append(event["payload"]["value"]))

    await client.upload_file("diagram.json", folder / "diagram.json")
    await client.upload("main.py", (folder / "main.py").read_bytes())
    await client.upload("data.bin", bytes(range(256)))
    seen["download"] = list(await client.download("data.bin")) == list(range(256))

    await client.start_simulation(firmware="main.py", pause=True)
    monitor = client.serial_monitor(lambda data: serial.extend(data))
    await asyncio.sleep(0)
    await client.listen_pin("esp", "2")
    await client.wait_until_simulation_time(3)
    seen["at_3_s"] = [client.last_pause_nanos, serial.decode()]
    seen["gpios"] = (await client.gpio_list())[:3]
    seen["lamp"] = await client.read_pin("esp", "2")

    await client.set_control("dht", "temperature", -12.3)
    await client.set_control("dht", "humidity", 66.9)
    await client.wait_until_simulation_time(6)
    seen["after_control"] = serial.decode().splitlines()[-1]

    await client.serial_write("ping\n")
    await client.wait_until_simulation_time(9)
    seen["answered"] = "pong" in serial.decode()
    seen["changes"] = list(changes)

    vcd = await client.read_vcd()
    (folder / "python.vcd").write_text(vcd["vcd"])
    seen["vcd"] = [vcd["channel_count"], vcd["sample_count"]]

    del serial[:]
    await client.restart_simulation(pause=True)
    await client.wait_until_simulation_time(3)
    seen["again"] = [client.last_pause_nanos, serial.decode()]

    # Any failed reply ends this client: the last thing that it asks.
    try:
        await client.set_control("dht", "warmth", 1)
    except Exception as error:
        seen["refused"] = str(error)
    monitor.cancel()
    try:
        await client.disconnect()
    except Exception:
        pass
    print(json.dumps(seen))


asyncio.run(main(Path(sys.argv[1])))
