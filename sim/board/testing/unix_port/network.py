# network on the unix port: a Wi-Fi that is always there.
STA_IF = 0
STAT_BEACON_TIMEOUT, STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD = 200, 201, 202
STAT_ASSOC_FAIL, STAT_HANDSHAKE_TIMEOUT = 203, 204


class WLAN:
    def __init__(self, interface):
        pass

    def active(self, on):
        return on

    def connect(self, ssid, key):
        pass

    def disconnect(self):
        pass

    def isconnected(self):
        return True

    def status(self):
        return 1010

    def ifconfig(self):
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")
