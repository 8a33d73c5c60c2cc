#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/run memory [--peers] [--runs N] [--json FILE]

What an idle actor keeps, and what it costs to spawn and stop one with a message each way. Ours is measured by bench_memory;
of each peer that is built follow two rows of the same table. A process counts its own growth, with all actors idle after
their first message; it is a new one for each run, because what is free again is not given back at once.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import savina
import systems

IDLERS = 100000


def ours(options):
    """Returns: its JSON. The table's head and our rows are printed."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "memory.json")
        subprocess.run([options.program, "--runs", str(options.runs), "--json", path], check=True, timeout=600)
        with open(path, encoding="utf-8") as file:
            return json.load(file)


def idle_bytes(name):
    environment = dict(os.environ, PEERS_BUILD=systems.PEERS)
    command = systems.SYSTEMS[name][0] + ["idle", "1", str(IDLERS)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True,
                          timeout=savina.TIMEOUT_S)
    return json.loads(done.stdout)["bytes_each"]


def spawn_ns(name, runs):
    workload = "fork-join-create"
    program = savina.Program(name, systems.SYSTEMS[name][0], workload, 1, systems.size(workload, name))
    for _ in range(runs):
        program.run()
    program.end()
    if program.why:
        sys.exit(f"memory: {name}: {program.why}")
    return program.ns


def row(workload, name, workers, unit, values):
    """Prints it as bench_memory does."""
    median, low, high = statistics.median(values), min(values), max(values)
    print(f"{workload:20} {name:22} {workers or '':>7} {median:12.2f} {low:12.2f} {high:12.2f}  {unit}", flush=True)
    return {"workload": workload, "system": name, "version": systems.VERSIONS[name], "workers": workers, "unit": unit,
            "median": median, "min": low, "max": high, "runs": len(values)}


def main():
    parser = argparse.ArgumentParser(prog="bench/run memory")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--peers", action="store_true", help="the peers too, those that are built")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    data = ours(options)
    units = {r["workload"]: r["unit"] for r in data["rows"]}
    names = [n for n in systems.SYSTEMS if n != "posta" and options.peers and systems.built(n)]
    for name in names:
        bytes_each = [idle_bytes(name) for _ in range(options.runs)]
        data["rows"].append(row("idle-actor", name, 0, units["idle-actor"], bytes_each))
    for name in names:
        data["rows"].append(row("spawn-stop", name, 1, units["spawn-stop"], spawn_ns(name, options.runs)))
    data["rows"].sort(key=lambda r: r["workload"])
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
