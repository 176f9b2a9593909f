"""Processes that are killed while they write, as scripts: `python SCRIPT FILE [MOMENT]`.

The script goes on from the file, if there is one; with a MOMENT it kills itself when it has written the
file for the fourth time aside, "half written" or "before renaming".
"""

import os
import signal
import subprocess
import sys

import tinynn.files


def run(go_on):
    """What such a script does: go_on(FILE), to the end or its own."""
    if len(sys.argv) > 2:
        die_in_the_fourth_save(sys.argv[2])
    print("running", flush=True)
    go_on(sys.argv[1])


def die_in_the_fourth_save(moment):
    replace, saves = os.replace, []

    def replace_or_die(aside, path):
        saves.append(path)
        if len(saves) == 4:
            if moment == "half written":
                os.truncate(aside, os.path.getsize(aside) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        replace(aside, path)

    tinynn.files.os.replace = replace_or_die


def start(script, path, *moment):
    """The process, as soon as it runs."""
    same = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, script, str(path), *moment]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=same)
    assert process.stdout.readline() == "running\n"
    return process
