# SPDX-License-Identifier: MIT
"""The systems that are measured, and the workloads with the size that all of them get."""

import os

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PEERS = os.path.join(ROOT, "build-peers")

CORE = ["ping-pong", "counting", "ring", "big", "fork-join-create", "fork-join"]

# Sizes are such that the peers take some tenths of a second a run.
SIZES = {
    "ping-pong": 1500000, "counting": 5000000, "ring": 1500000, "big": 2000000, "fork-join-create": 300000,
    "fork-join": 3000000, "chameneos": 200000, "dictionary": 300000, "bounded-buffer": 200000, "philosophers": 200000,
    "sleeping-barber": 2000, "smokers": 300000, "logistic-map": 200000, "bank": 100000, "fib": 23, "nqueens": 12,
    "sieve": 60000, "radix-sort": 40000, "quicksort": 300000, "trapezoid": 500000, "matmul": 256, "astar": 40,
}

# Whose time is proportional to its size: the slow do less of it, ours more, so that all run about as long.
LINEAR = CORE + ["chameneos", "dictionary", "bounded-buffer", "philosophers", "smokers"]
FACTORS = {"posta": 8, "caf": 0.5, "protoactor": 0.25}


def size(workload, system, shrink=1):
    """What a system is given. shrink: to try the bench; those that grow faster than their size are left as they are."""
    n = SIZES[workload]
    if workload in LINEAR:
        n *= FACTORS.get(system, 1)
    return int(n) if workload in ("fib", "nqueens", "matmul", "astar") else int(n / shrink)


# name: command, and whether it is an actor system.
SYSTEMS = {
    "posta": (None, True),
    "caf": ([os.path.join(PEERS, "caf")], True),
    "erlang": ([os.path.join(ROOT, "bench/peers/erlang/run")], True),
    "pekko": ([os.path.join(ROOT, "bench/peers/pekko/run")], True),
    "actix": ([os.path.join(PEERS, "actix")], True),
    "ractor": ([os.path.join(PEERS, "ractor")], True),
    "protoactor": ([os.path.join(PEERS, "protoactor")], True),
    "go-channels": ([os.path.join(PEERS, "go-channels")], False),
}

VERSIONS = {
    "caf": "CAF 0.17.6", "erlang": "Erlang/OTP 25", "pekko": "Pekko typed 1.7.0", "actix": "Actix 0.13.5",
    "ractor": "ractor 0.16.5", "protoactor": "protoactor-go", "go-channels": "Go channels",
}

NO_SUCH_WORKLOAD = 3


def built(name):
    """Whether a peer's program is there: bench/peers/install builds it."""
    there = {"erlang": "peers.beam", "pekko": "pekko/pekko-1.jar"}.get(name, name)
    return os.path.exists(os.path.join(PEERS, there))


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {"cpus": os.cpu_count(), "model": model[0] if model else "unknown"}
