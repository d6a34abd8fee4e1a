# network, the station side; numbers as on the ESP32.
import host as _host

STA_IF, AP_IF = 0, 1
STAT_IDLE, STAT_CONNECTING, STAT_GOT_IP = 1000, 1001, 1010
STAT_BEACON_TIMEOUT, STAT_NO_AP_FOUND, STAT_WRONG_PASSWORD = 200, 201, 202
STAT_ASSOC_FAIL, STAT_HANDSHAKE_TIMEOUT = 203, 204


class WLAN:
    IF_STA, IF_AP = 0, 1

    def __init__(self, interface=0):
        pass

    def active(self, *on):
        return bool(_host.wlan_active((1 if on[0] else 0) if on else -1))

    def connect(self, ssid=None, key=None, **_):
        if not _host.wlan_join(ssid or "", key or ""):
            raise OSError("Wifi Internal Error")

    def disconnect(self):
        _host.wlan_leave()

    def isconnected(self):
        return _host.wlan_status() == STAT_GOT_IP

    def status(self, *what):
        return -60 if what else _host.wlan_status()

    def ifconfig(self, *_):
        return (_host.wlan_address(), "255.255.255.0", "10.0.0.1", "10.0.0.1")

    def config(self, *_, **__):
        return None
