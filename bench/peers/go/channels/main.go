// SPDX-License-Identifier: MIT

// The Savina workloads on goroutines and buffered channels: no actors, but what a Go programmer would write.
package main

import . "peers/contract"

func main() {
	Main(map[string]Workload{
		"ping-pong":        {"message", Times(1, 2), pingPong},
		"counting":         {"message", Same, counting},
		"ring":             {"message", Same, ring},
		"big":              {"message", Times(1, 128), big},
		"fork-join-create": {"actor", Same, forkJoinCreate},
		"fork-join":        {"message", Times(1, 60), forkJoin},
		"chameneos":        {"message", Times(4, 1), chameneos},
		"dictionary":       {"message", Times(2, 20), dictionary},
		"bounded-buffer":   {"message", Times(4, 40), boundedBuffer},
		"philosophers":     {"meal", Times(1, 20), philosophers},
		"sleeping-barber":  {"customer", Same, sleepingBarber},
		"smokers":          {"message", Times(2, 1), smokers},
		"logistic-map":     {"message", Times(3, 10), logisticMap},
		"bank":             {"message", Times(4, 1), bank},
		"fib":              {"actor", func(n int) int { return 2*Fibonacci(n) - 1 }, fib},
		"nqueens":          {"run", nil, nqueens},
		"sieve":            {"run", nil, sieve},
		"radix-sort":       {"message", Times(31, 1), radixSort},
		"quicksort":        {"run", nil, quicksort},
		"trapezoid":        {"run", nil, trapezoid},
		"matmul":           {"run", nil, matmul},
		"astar":            {"run", nil, astar},
	})
}
