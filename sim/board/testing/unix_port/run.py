# Runs the firmware in a folder that becomes the board's flash: micropython run.py FOLDER.
import os
import sys

os.umount("/")
os.mount(os.VfsPosix(sys.argv[1]), "/")
sys.path[:] = ["/testing", "/", ".frozen"]
import main
