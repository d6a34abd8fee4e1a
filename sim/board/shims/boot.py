# Imports the shims, so that the firmware's `import machine` finds them; then their folder leaves the path.
import sys
sys.path.insert(0, "/.sim")
import time, machine, network, select, socket, esp_asyncio
sys.path[:] = ["", ".frozen", "/lib"]
del sys.modules["esp_asyncio"]
import os, host


def _urandom(count):
    return bytes([host.random32() & 255 for _ in range(count)])


def _statvfs(path):
    block = 4096
    total = host.flash_capacity() // block
    free = max(0, total - host.flash_used() // block)
    return (block, block, total, free, free, 0, 0, 0, 0, 255)


os.sync = lambda: None  # files are durable at flush and close
os.urandom = _urandom
os.statvfs = _statvfs
del sys, os, time, machine, network, select, socket, esp_asyncio
