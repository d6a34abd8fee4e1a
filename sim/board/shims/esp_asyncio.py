# The frozen asyncio of this build belongs to a browser: its loop is a timer of JavaScript, and run() is missing. This
# gives it a loop that blocks. `run` is all that the firmware needs besides tasks, sleep_ms and Event.
import asyncio, host as _host
from asyncio import core
from time import ticks_diff, ticks_ms

_SAFE_POINT = 1  # every task is a suspended generator here, so the harness may collect garbage

core._schedule_run_iter = lambda delay=0: None
core._task_queue = core.TaskQueue(lambda *_: None)


def run(coroutine):
    main = core.create_task(coroutine)
    main.state = lambda *_: None  # its exception is raised below, not printed as never retrieved
    while True:
        core._run_iter()
        if main.done():
            break
        first = core._task_queue.peek()
        _host.block(max(0, ticks_diff(first.ph_key, ticks_ms())) if first else -1, 0, _SAFE_POINT)
    if isinstance(main.data, StopIteration):
        return main.data.value
    raise main.data


asyncio.run = core.run = run
