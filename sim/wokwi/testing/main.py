# What the clients' tests run: the usual DHT22 program with a lamp, and an answer to what is typed.
import dht
import machine
import select
import sys
import time

led = machine.Pin(2, machine.Pin.OUT)
sensor = dht.DHT22(machine.Pin(15))
typed = select.poll()
typed.register(sys.stdin, select.POLLIN)

print("DHT22 test!")
while True:
    time.sleep(2)
    led.on()
    sensor.measure()
    led.off()
    print("Humidity: %.1f%%, temperature: %.1f C" % (sensor.humidity(), sensor.temperature()))
    if typed.poll(0):
        print("pong" if sys.stdin.readline() == "ping\n" else "what?")
