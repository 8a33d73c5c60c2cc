// SPDX-License-Identifier: MIT

// The Savina workloads on goroutines and buffered channels: no actors, but what a Go programmer would write.
package main

import . "peers/contract"

func main() {
	Main(map[string]Workload{
		"ping-pong": pingPong, "counting": counting, "ring": ring, "big": big,
		"fork-join-create": forkJoinCreate, "fork-join": forkJoin, "idle": idle,
		"chameneos": chameneos, "dictionary": dictionary, "bounded-buffer": boundedBuffer,
		"philosophers": philosophers, "sleeping-barber": sleepingBarber, "smokers": smokers,
		"logistic-map": logisticMap, "bank": bank, "fib": fib, "nqueens": nqueens, "sieve": sieve,
		"radix-sort": radixSort, "quicksort": quicksort, "trapezoid": trapezoid, "matmul": matmul,
		"astar": astar,
	})
}
