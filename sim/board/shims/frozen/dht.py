# The drivers of the ESP32's image for the DHT sensors: measure(), then temperature() in °C and humidity() in %.
from machine import dht_readinto


class _Sensor:
    def __init__(self, pin):
        self.pin = pin
        self.buf = bytearray(5)

    def measure(self):
        dht_readinto(self.pin, self.buf)
        if sum(self.buf[:4]) & 0xFF != self.buf[4]:
            raise Exception("checksum error")


class DHT11(_Sensor):
    def humidity(self):
        return self.buf[0]

    def temperature(self):
        return self.buf[2]


class DHT22(_Sensor):
    def humidity(self):
        return (self.buf[0] << 8 | self.buf[1]) / 10

    def temperature(self):
        magnitude = ((self.buf[2] & 0x7F) << 8 | self.buf[3]) / 10
        return -magnitude if self.buf[2] & 0x80 else magnitude
