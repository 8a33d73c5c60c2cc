// SPDX-License-Identifier: MIT

// Package contract is what every peer program does: PROGRAM WORKLOAD THREADS N [paced] prints a line of JSON for a
// run after a warm-up; with "paced" one for each line of standard input.
package contract

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

// Burst is how many messages a producer sends in a row.
const Burst = 256

// Workload runs to its end in Run; what Run returns is called untimed: it stops the actors and says whether the result
// is right. Units is what the time is divided by; nil: one run.
type Workload struct {
	Unit  string
	Units func(n int) int
	Run   func(n int) func() bool
}

// Same is Units of workloads whose parameter is their messages.
func Same(n int) int { return n }

// Times is Units of workloads with several messages for each of their parameter, in equal shares.
func Times(factor, shares int) func(int) int {
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

// Primes counts those below n.
func Primes(n int) int {
	count := 0
next:
	for i := 2; i < n; i++ {
		for k := 2; k*k <= i; k++ {
			if i%k == 0 {
				continue next
			}
		}
		count++
	}
	return count
}

// Queens are the solutions for boards of 0, 1, 2... columns.
var Queens = []uint64{1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712}

func once(w Workload, n int) time.Duration {
	began := time.Now()
	finish := w.Run(n)
	took := time.Since(began)
	if !finish() {
		fmt.Fprintln(os.Stderr, os.Args[0]+": wrong result")
		os.Exit(1)
	}
	return took
}

func report(name string, w Workload, n int) {
	took := float64(once(w, n).Nanoseconds())
	units := 1
	if w.Units != nil {
		units = w.Units(n)
	}
	fmt.Printf("{\"workload\": \"%s\", \"ns_per_message\": %.3f, \"unit\": \"%s\", \"ms\": %.3f}\n", name,
		took/float64(units), w.Unit, took/1e6)
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
	once(w, n)
	if len(os.Args) < 5 {
		report(os.Args[1], w, n)
		return
	}
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		report(os.Args[1], w, n)
	}
}
