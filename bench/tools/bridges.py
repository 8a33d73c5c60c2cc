# SPDX-License-Identifier: MIT
"""The tables on bridges: throughput with CPU time, latency, memory. A line that was not measured stays as it was."""

import json

HEADS = (
    ["workload", "ours, msg/s", "bare", "ratio", "goal", "CPU, ns a message", "bare", "ratio", "goal"],
    ["workload", "ours, p50, us", "bare", "ratio", "ours, p99, us", "bare", "ratio", "goal"],
    ["workload", "MiB", "goal"],
)


def goals_of(path):
    with open(path, encoding="utf-8") as file:
        goals = [g for g in json.load(file)["goals"] if g["bench"] == "bridges"]
    return {g["workload"]: f"≥ {g['at_least']}" if "at_least" in g else f"≤ {g['at_most']}" for g in goals}


def figure(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def spread(row):
    if row["min"] == row["max"]:
        return figure(row["median"])
    return f"{figure(row['median'])} [{figure(row['min'])} .. {figure(row['max'])}]"


def beside(rows, workload):
    """Ours, bare, and the ratio of the two."""
    ours, bare = rows[workload, "posta"], rows[workload, "bare"]
    return [spread(ours), spread(bare), f"{ours['median'] / bare['median']:.2f}"]


def measured(rows, goals):
    """Returns: for each table its lines, by workload."""
    throughput, latency, memory = {}, {}, {}
    for workload, system in rows:
        if system != "posta":
            continue
        goal = goals.get(workload, "")
        if workload + "-cpu" in (name for name, _ in rows):
            cpu = workload + "-cpu"
            throughput[workload] = [workload, *beside(rows, workload), goal, *beside(rows, cpu), goals.get(cpu, "")]
        elif workload.endswith("-p99"):
            name = workload.removesuffix("-p99")
            latency[name] = [name, *beside(rows, name + "-p50"), *beside(rows, workload), goal]
        elif (workload, "bare") not in rows:
            memory[workload] = [workload, spread(rows[workload, system]), goal]
    return throughput, latency, memory


def kept(page, columns):
    """The lines of the table of so many columns that stand in page."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    return {line[0]: line for line in lines if len(line) == columns and line[0] != "workload" and line[0].strip("-:")}


def tables(page, rows, goals):
    rows = {(row["workload"], row["system"]): row for row in rows}
    out = []
    for head, new in zip(HEADS, measured(rows, goals)):
        lines = kept(page, len(head)) | new
        out.append("\n".join(["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)] +
                             ["| " + " | ".join(line) + " |" for line in lines.values()]) + "\n")
    return "\n".join(out)
