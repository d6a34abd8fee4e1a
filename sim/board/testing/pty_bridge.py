"""Gives the simulated board's serial port a pseudo-terminal and prints its name; ends when standard input does.

usage: python3 pty_bridge.py COMMAND...   (the board's own command, see serial_port.ts)
"""
import os
import pty
import subprocess
import sys
import threading
import tty

master, slave = pty.openpty()
tty.setraw(master)
tty.setraw(slave)
board = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def up():
    while data := os.read(board.stdout.fileno(), 4096):
        os.write(master, data)


def down():
    while True:
        board.stdin.write(os.read(master, 4096))
        board.stdin.flush()


for pump in (up, down):
    threading.Thread(target=pump, daemon=True).start()
print(os.ttyname(slave), flush=True)
try:
    sys.stdin.read()
finally:
    board.kill()
