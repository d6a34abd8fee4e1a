# Builtins that this build has differently: its input() never returns.
import builtins, sys


def input(prompt=""):
    sys.stdout.write(prompt)
    line = ""
    while True:
        char = sys.stdin.read(1)
        if char == "\n":
            sys.stdout.write("\n")
            return line
        if char in ("\x08", "\x7f"):
            if line:
                line = line[:-1]
                sys.stdout.write("\x08 \x08")
        elif char >= " ":
            line += char
            sys.stdout.write(char)


builtins.input = input
