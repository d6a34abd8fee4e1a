"""Isotherm's board: a DHT22 on a grid, a backlog in flash, HTTP. Puts the parts together; the only file that touches
machine, network and the clock."""
import asyncio
import gc
import machine
import network
import os
import struct
import time

import dht22
import settings as settings_file
from backlog import Backlog
from batch import Body
from backoff import Backoff
from clock_sync import ClockSync
from dns_client import Resolver
from flash_ring import FlashRing
from http_client import HttpClient
from lost_spans import LostSpans
from pending import Pending
from sampler import Sampler
from status import say
from time_source import TimeSource
from timekeeper import Timekeeper
from uploader import Uploader
from uptime import Uptime
from wifi_link import WifiLink

# Segments of one flash block and 200 slots each: 28 h at 2 s, 5.9 days at 10 s, in half of a 2 MiB file system.
SEGMENTS_MAX = 256
WATCHDOG_MS = 60000
UNIX_2000 = 946684800  # the ESP32 counts from 2000-01-01

_CAUSES = {
    machine.PWRON_RESET: "power",
    machine.HARD_RESET: "hard",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep_sleep",
    machine.SOFT_RESET: "soft",
}
_WIFI_REASONS = {
    network.STAT_WRONG_PASSWORD: "the password is wrong: check wifi_key in settings.json",
    network.STAT_NO_AP_FOUND: "the network was not found: check wifi_ssid in settings.json (2.4 GHz only)",
    network.STAT_HANDSHAKE_TIMEOUT: "the handshake timed out: wifi_key may be wrong, or the signal too weak",
    network.STAT_ASSOC_FAIL: "the access point refused: is it full, or filtering?",
    network.STAT_BEACON_TIMEOUT: "the access point has gone silent",
}


def random_below(bound):
    """A number from the chip's own source, 0 <= n < bound <= 65536."""
    return struct.unpack("<I", os.urandom(4))[0] % bound


def boot_number():
    """53 random bits, as many as every JSON reader keeps."""
    return struct.unpack("<Q", os.urandom(8))[0] >> 11


def name_of_chip():
    return "esp32-" + "".join("%02x" % byte for byte in machine.unique_id())


def set_rtc(unix_ms):
    """Sets the chip's clock: TLS checks the dates of certificates by it."""
    year, month, day, hour, minute, second, weekday = time.gmtime(unix_ms // 1000 - UNIX_2000)[:7]
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))


def make_tls(ca_file):
    """Wraps a socket after checking the server's certificate against ca_file (DER or PEM); OSError, ValueError."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    with open(ca_file, "rb") as file:
        authority = file.read()
    context.load_verify_locations(cadata=authority)
    return lambda sock, host: context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)


async def report_hourly(uptime, backlog, uploader):
    while True:
        await asyncio.sleep_ms(3600000)
        gc.collect()
        say(
            "status", ("uptime_s", uptime.ms() // 1000), ("heap_used", gc.mem_alloc()), ("heap_free", gc.mem_free()),
            ("sent", uploader.sent), ("pending", backlog.size()),
        )


def tls_of(settings):
    """(what wraps a socket: see make_tls, or None for plain HTTP; a problem or None)."""
    path = settings["tls_ca_file"]
    if not settings_file.split_url(settings["ingest_url"])[0]:
        return None, None
    try:
        return make_tls(path), None
    except OSError:
        return None, "tls_ca_file %s can't be read: copy it to the board" % path
    except ValueError:
        return None, "tls_ca_file %s holds no certificate: it must be one in DER or PEM" % path


async def run(settings, wrap):
    uptime = Uptime(time.ticks_ms, time.ticks_diff)
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)  # the chip's random numbers are true ones only while the radio is on
    ring = FlashRing("/ring", SEGMENTS_MAX)
    previous, tail = ring.recover()
    boot = boot_number()
    lost = LostSpans("/lost.json")
    backlog = Backlog(ring, Pending(tail), lost, boot, previous, uptime.ms())
    device = settings["device"] or name_of_chip()
    say("boot", ("device", device), ("boot", boot), ("cause", _CAUSES.get(machine.reset_cause(), "unknown")))

    _, host, port, path = settings_file.split_url(settings["ingest_url"])
    link = WifiLink(wlan, settings["wifi_ssid"], settings["wifi_key"], _WIFI_REASONS, uptime.ms)
    resolver = Resolver(link.name_server, random_below, uptime.ms)
    client = HttpClient(host, port, resolver, uptime.ms, wrap)
    web = HttpClient(host, port, resolver, uptime.ms, wrap)
    clock = ClockSync()
    stored = asyncio.Event()
    every_ms = settings["every_ms"]
    keeper = Timekeeper(clock, backlog, uptime.ms, stored, machine.reset, set_rtc)
    body = Body(device, every_ms)
    backoff = Backoff(random_below)
    uploader = Uploader(body, settings["key"], path, client, backlog, lost, link, backoff, stored, keeper.learn)
    times = TimeSource(settings["ntp_host"], path, resolver, web, clock, link, uptime.ms, keeper.learn)
    pin = machine.Pin(settings["sensor_pin"], machine.Pin.OPEN_DRAIN, machine.Pin.PULL_UP)
    sensor = dht22.Sensor(lambda frame: machine.dht_readinto(pin, frame))
    watchdog = machine.WDT(timeout=WATCHDOG_MS)
    power_pin = settings["sensor_power_pin"]
    power = None if power_pin is None else machine.Pin(power_pin, machine.Pin.OUT, value=1)
    led_pin = settings["led_pin"]
    lamp = None if led_pin is None else machine.Pin(led_pin, machine.Pin.OUT, value=0)
    sampler = Sampler(sensor, backlog, clock, uptime.ms, every_ms, watchdog.feed, stored, power, lamp)
    report = report_hourly(uptime, backlog, uploader)
    await asyncio.gather(link.run(), times.run(), uploader.run(), sampler.run(), report)


def main():
    settings, problems = settings_file.load("/settings.json", "/settings.wokwi.json")
    wrap = None
    if not problems:
        wrap, problem = tls_of(settings)
        if problem:
            problems.append(problem)
    for problem in problems:
        say("settings", ("problem", problem))
    if problems:
        say("stopped", ("why", "correct settings.json, then press reset"))
        while True:
            time.sleep(60)
    asyncio.run(run(settings, wrap))


main()
