# Imports the shims, so that the firmware's `import machine` finds them; then their folder leaves the path.
import sys
sys.path.insert(0, "/.sim")
import time, machine, network, select, socket, esp_asyncio, esp_builtins
sys.path[:] = ["", ".frozen", "/.sim/frozen", "/lib"]
del sys.modules["esp_asyncio"], sys.modules["esp_builtins"]
import os, host


def _urandom(count):
    return bytes([host.random32() & 255 for _ in range(count)])


def _statvfs(path):
    block = 4096
    total = host.flash_capacity() // block
    free = max(0, total - host.flash_used() // block)
    return (block, block, total, free, free, 0, 0, 0, 0, 255)


def _on_current_folder(call):  # the ESP32 takes "" for the current folder, mpremote relies on it
    return lambda path=".": call(path or ".")


os.stat, os.listdir, os.ilistdir = [_on_current_folder(call) for call in (os.stat, os.listdir, os.ilistdir)]
os.sync = lambda: None  # files are durable at flush and close
os.urandom = _urandom
os.statvfs = _statvfs
del sys, os, time, machine, network, select, socket, esp_asyncio, esp_builtins
