// SPDX-License-Identifier: MIT

// Package contract is what every peer program does: PROGRAM WORKLOAD THREADS N [paced] prints a line of JSON for a
// run after a warm-up; with "paced" one for each line of standard input. The workload idle warms up with few actors:
// what they leave behind would be used again.
package contract

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"
)

// Burst is how many messages a producer sends in a row.
const Burst = 256

const idle = "idle"

// Workload runs to its end; what it returns is called untimed: it stops the actors and says whether the result is
// right.
type Workload func(n int) func() bool

// What the workloads' times are divided by; for those that are not here it is a run.
var units = map[string]struct {
	unit  string
	count func(n int) int
}{
	"ping-pong":        {"message", times(1, 2)},
	"counting":         {"message", times(1, 1)},
	"ring":             {"message", times(1, 1)},
	"big":              {"message", times(1, 128)},
	"fork-join-create": {"actor", times(1, 1)},
	"fork-join":        {"message", times(1, 60)},
	"idle":             {"actor", times(1, 1)},
	"chameneos":        {"message", times(4, 1)},
	"dictionary":       {"message", times(2, 20)},
	"bounded-buffer":   {"message", times(4, 40)},
	"philosophers":     {"meal", times(1, 20)},
	"sleeping-barber":  {"customer", times(1, 1)},
	"smokers":          {"message", times(2, 1)},
	"logistic-map":     {"message", times(3, 10)},
	"bank":             {"message", times(4, 1)},
	"fib":              {"actor", func(n int) int { return 2*Fibonacci(n) - 1 }},
	"radix-sort":       {"message", times(31, 1)},
}

// Several messages for each of the parameter, in equal shares.
func times(factor, shares int) func(int) int {
	return func(n int) int { return n / shares * shares * factor }
}

// Random steps the generator that all systems use. It returns 16 bits.
func Random(seed *uint32) uint32 {
	*seed = *seed*1664525 + 1013904223
	return *seed >> 16
}

// Draw returns 30 random bits.
func Draw(seed *uint32) uint32 {
	high := Random(seed) & 0x7FFF
	return high<<15 | Random(seed)&0x7FFF
}

// Work keeps the CPU busy.
func Work(seed uint32, iterations int) uint32 {
	for ; iterations > 0; iterations-- {
		seed = seed*1664525 + 1013904223
	}
	return seed
}

// Fibonacci returns the n-th number.
func Fibonacci(n int) int {
	a, b := 0, 1
	for ; n > 0; n-- {
		a, b = b, a+b
	}
	return a
}

// Bytes of memory that the process has; where they count, without garbage.
func resident() (bytes int) {
	if os.Args[1] == idle {
		debug.FreeOSMemory()
	}
	all := 0
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		fmt.Sscan(string(statm), &all, &bytes)
	}
	return bytes * os.Getpagesize()
}

// How long a run took, and by how much the process grew.
func once(w Workload, n int) (time.Duration, int) {
	before := resident()
	began := time.Now()
	finish := w(n)
	took := time.Since(began)
	grown := resident() - before
	if !finish() {
		fmt.Fprintln(os.Stderr, os.Args[0]+": wrong result")
		os.Exit(1)
	}
	return took, grown
}

func warmUp(n int) int {
	if os.Args[1] == idle {
		return Burst
	}
	return n
}

func report(name string, w Workload, n int) {
	took, grown := once(w, n)
	ns := float64(took.Nanoseconds())
	count, unit := 1, "run"
	if u, known := units[name]; known {
		count, unit = u.count(n), u.unit
	}
	fmt.Printf("{\"workload\": \"%s\", \"ns_per_message\": %.3f, \"unit\": \"%s\", ", name, ns/float64(count), unit)
	fmt.Printf("\"ms\": %.3f, \"bytes_each\": %.1f}\n", ns/1e6, float64(grown)/float64(count))
}

// Main is the program.
func Main(workloads map[string]Workload) {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "usage:", os.Args[0], "WORKLOAD THREADS N [paced]")
		os.Exit(2)
	}
	w, known := workloads[os.Args[1]]
	threads, _ := strconv.Atoi(os.Args[2])
	n, _ := strconv.Atoi(os.Args[3])
	if !known || threads < 1 || n < 1 {
		fmt.Fprintln(os.Stderr, os.Args[0]+": no such workload, or a bad number")
		os.Exit(3)
	}
	runtime.GOMAXPROCS(threads)
	once(w, warmUp(n))
	if len(os.Args) < 5 {
		report(os.Args[1], w, n)
		return
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		report(os.Args[1], w, n)
	}
}
