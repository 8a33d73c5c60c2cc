#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench/run savina [--peers] [--runs N] [--only W,...] [--systems S,...] [--workers 1,2] [--json FILE] [--svg FILE]

Runs the Savina workloads, ours and the peers' in turn (A B C, A B C, ...), and prints the medians with their spread.
Every program is started once for a workload and a number of threads, warms up, then runs when it is told to; the others
sleep meanwhile. The cost of a cache line between two CPUs is taken before and after each cell of two threads.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import threading

import chart
import systems

TIMEOUT_S = 60


class Program:
    """One system, warmed up on one workload."""

    def __init__(self, name, command, workload, workers, size):
        self.name, self.ns, self.unit, self.why = name, [], "", None
        command = command + [workload, str(workers), str(size), "paced"]
        environment = dict(os.environ, PEERS_BUILD=systems.PEERS)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, bufsize=1, env=environment)
        if self.line() != "ready":
            self.end()

    def line(self):
        """The next line of output; None at its end or after a minute."""
        timer = threading.Timer(TIMEOUT_S, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        return line.strip() or None

    def run(self):
        if self.why:
            return
        try:
            self.process.stdin.write("\n")
            figure = json.loads(self.line() or "")
        except (BrokenPipeError, ValueError):
            self.end()
            return
        self.ns.append(figure["ns_per_message"])
        self.unit = figure["unit"]

    def end(self):
        """Closes it; why: the reason if it did not end by itself and well."""
        if self.process.poll() is None:
            try:
                self.process.stdin.close()
                status = self.process.wait(5)
            except (BrokenPipeError, subprocess.TimeoutExpired):
                self.process.kill()
                status = self.process.wait()
        else:
            status = self.process.returncode
        if self.why is None and (status != 0 or not self.ns):
            errors = self.process.stderr.read().strip().splitlines()
            not_covered = status == systems.NO_SUCH_WORKLOAD
            self.why = "not covered" if not_covered else (errors[-1] if errors else f"status {status}")
        self.process.stdout.close()
        self.process.stderr.close()


def probe(path):
    return float(subprocess.run([path], capture_output=True, text=True, check=True, timeout=60).stdout)


def cell(options, names, workload, workers):
    """Returns: the rows of one workload with so many workers."""
    before = probe(options.probe) if workers > 1 else None
    sizes = {name: systems.size(workload, name, options.shrink) for name in names}
    programs = [Program(name, systems.SYSTEMS[name][0] or [options.program], workload, workers, sizes[name])
                for name in names]
    for _ in range(options.runs):
        for program in programs:
            program.run()
    for program in programs:
        program.end()
        if program.why and program.why != "not covered":
            print(f"savina: {program.name} {workload} with {workers}: {program.why}", file=sys.stderr)
    after = probe(options.probe) if workers > 1 else None
    rows = []
    for program in programs:
        if len(program.ns) < options.runs:
            continue
        version = systems.VERSIONS.get(program.name, options.version)
        row = {"workload": workload, "system": program.name, "version": version,
               "actors": systems.SYSTEMS[program.name][1], "workers": workers, "unit": f"ns/{program.unit}",
               "n": sizes[program.name], "median": statistics.median(program.ns), "min": min(program.ns),
               "max": max(program.ns), "runs": len(program.ns)}
        if workers > 1:
            row |= {"line_ns_before": before, "line_ns_after": after}
        rows.append(row)
    return rows


def best(rows, actors_only=False):
    peers = [row for row in rows if row["system"] != "posta" and (row["actors"] or not actors_only)]
    return min(peers, key=lambda row: row["median"]) if peers else None


def figure(ns):
    return f"{ns:.1f}" if ns < 1000 else f"{ns / 1000:.1f} us" if ns < 1e6 else f"{ns / 1e6:.2f} ms"


def print_cell(rows, names, workload, workers):
    ours = next((row for row in rows if row["system"] == "posta"), None)
    unit = rows[0]["unit"] if rows else ""
    lines = ""
    if workers > 1 and rows:
        lines = f"; a cache line {rows[0]['line_ns_before']:.0f}, then {rows[0]['line_ns_after']:.0f} ns"
    print(f"{workload}, {workers} worker{'s' if workers > 1 else ''} ({unit}{lines})")
    for row in sorted(rows, key=lambda row: row["median"]):
        ratio = f"{row['median'] / ours['median']:8.1f}x" if ours else ""
        spread = f"[{figure(row['min'])} .. {figure(row['max'])}]"
        print(f"  {row['system']:12} {figure(row['median']):>10}  {spread} {ratio}")
    missing = [name for name in names if name not in [row["system"] for row in rows]]
    if missing:
        print(f"  not covered: {', '.join(missing)}")
    sys.stdout.flush()


def summarise(rows, workers):
    """The geometric mean of the ratios to the best peer of each workload."""
    ratios, behind = [], []
    for workload in systems.SIZES:
        there = [row for row in rows if row["workload"] == workload and row["workers"] == workers]
        ours, peer = next((row for row in there if row["system"] == "posta"), None), best(there)
        if ours and peer:
            ratios.append(peer["median"] / ours["median"])
            behind += [f"{workload} ({peer['system']})"] if ratios[-1] < 1 else []
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"{workers} worker{'s' if workers > 1 else ''}: geometric mean {mean:.1f} x the best peer of each of "
              f"{len(ratios)} workloads; behind on: {', '.join(behind) or 'none'}")


def parse():
    parser = argparse.ArgumentParser(prog="bench/run savina")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--probe", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--version", default="posta", help=argparse.SUPPRESS)
    parser.add_argument("--peers", action="store_true", help="the peers too, those that are built")
    parser.add_argument("--systems", help="only these, separated by commas")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--shrink", type=int, default=1, help="divide the sizes: to try the bench, not to measure")
    parser.add_argument("--only", help="only these workloads, separated by commas; core: the six of the core")
    parser.add_argument("--workers", help="numbers of workers (1,2 for the core, 1 for the others)")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--svg", metavar="FILE")
    return parser.parse_args()


def chosen(options):
    workloads = [w for part in (options.only or ",".join(systems.SIZES)).split(",")
                 for w in (systems.CORE if part == "core" else [part])]
    unknown = [w for w in workloads if w not in systems.SIZES]
    if unknown:
        sys.exit(f"savina: there is no workload {unknown[0]}: {' '.join(systems.SIZES)}")
    names = ["posta"] + [n for n in systems.SYSTEMS if n != "posta" and options.peers and systems.built(n)]
    if options.systems:
        names = [n for n in options.systems.split(",") if n in systems.SYSTEMS]
    absent = [n for n in systems.SYSTEMS if options.peers and n != "posta" and n not in names]
    if absent and not options.systems:
        print(f"savina: not built, so not here: {', '.join(absent)} (bench/peers/install)", file=sys.stderr)
    return workloads, names


def save(options, rows):
    """After each cell, so that a run that is broken off leaves what it has."""
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"name": "savina", "machine": systems.machine(), "rows": rows}, file, indent=1)
            file.write("\n")
    if options.svg:
        with open(options.svg, "w", encoding="utf-8") as file:
            file.write(chart.draw(rows))


def main():
    options = parse()
    workloads, names = chosen(options)
    rows = []
    for workload in workloads:
        default = "1,2" if workload in systems.CORE else "1"
        for workers in map(int, (options.workers or default).split(",")):
            these = cell(options, names, workload, workers)
            print_cell(these, names, workload, workers)
            rows += these
            save(options, rows)
    for workers in sorted({row["workers"] for row in rows}):
        summarise(rows, workers)


if __name__ == "__main__":
    main()
