"""Writes a littlefs with every kind of content, by the real implementation (PyPI littlefs-python 0.19.0), and what is in it.

    make_littlefs.py IMAGE LISTING

Block size, count and programming size are those of MicroPython's file system on an ESP32 with 4 MiB of flash.
"""
import hashlib
import json
import sys

from littlefs import LittleFS


def pattern(size):
    return bytes((i * 7 + i // 251) & 255 for i in range(size))


def write(fs, path, content):
    with fs.open(path, "wb") as file:
        file.write(content)


fs = LittleFS(block_size=4096, block_count=512, prog_size=256, read_size=256)
contents = {"/main.py": b"import greeting\ngreeting.hello('littlefs')\n", "/empty": b""}
for size in (1, 64, 255, 256, 1000, 4095, 4096, 4097, 8187, 8188, 8189, 12276, 65536, 200001):
    contents["/size_%d" % size] = pattern(size)
fs.makedirs("/lib/deep/deeper")
contents["/lib/greeting.py"] = b"def hello(name):\n    print('hello from', name)\n"
contents["/lib/deep/deeper/leaf.txt"] = b"leaf"
fs.mkdir("/many")
for i in range(200):
    contents["/many/file_%03d_with_a_long_name.txt" % i] = b"%d" % i
for path, content in contents.items():
    write(fs, path, content)
# Logs with a past: rewritten, appended, renamed, removed.
write(fs, "/rewritten", pattern(5000))
write(fs, "/rewritten", b"short now")
contents["/rewritten"] = b"short now"
with fs.open("/size_1000", "ab") as file:
    file.write(b"and more")
contents["/size_1000"] += b"and more"
fs.rename("/many/file_007_with_a_long_name.txt", "/lib/moved.txt")
contents["/lib/moved.txt"] = contents.pop("/many/file_007_with_a_long_name.txt")
for i in range(0, 200, 3):
    fs.remove("/many/file_%03d_with_a_long_name.txt" % i)
    del contents["/many/file_%03d_with_a_long_name.txt" % i]

with open(sys.argv[1], "wb") as file:
    file.write(fs.context.buffer)
with open(sys.argv[2], "w") as file:
    json.dump({path: hashlib.sha256(content).hexdigest() for path, content in sorted(contents.items())}, file)
