// SPDX-License-Identifier: MIT

package main

import . "peers/contract"

// A master deals items to 20 workers. Returns the sum of what they did. No channel is ever full: there is room for all.
func deal[I any](capacity int, worker func() Job[I], first I) (sum uint64) {
	work, given, done := make(chan I, capacity), make(chan I, capacity), make(chan uint64, capacity)
	for range 20 {
		go func(job Job[I]) {
			give := func(part I) { given <- part }
			for item := range work {
				done <- job.Work(item, give)
			}
		}(worker())
	}
	work <- first
	for missing := 1; missing > 0; {
		select { // what a worker gave back comes before its word that it is done
		case item := <-given:
			missing++
			work <- item
			continue
		default:
		}
		select {
		case item := <-given:
			missing++
			work <- item
		case did := <-done:
			for more := true; more; {
				select {
				case item := <-given:
					missing++
					work <- item
				default:
					more = false
				}
			}
			sum += did
			missing--
		}
	}
	close(work)
	return
}

func nqueens(n int) func() bool {
	queens := NewQueens(n)
	solutions := deal(16384, func() Job[Board] { return queens }, Board{})
	return func() bool { return SolutionsRight(n, solutions) }
}

func matmul(n int) func() bool {
	product := NewProduct(n)
	deal(4096, func() Job[Block] { return product }, product.Whole())
	return product.Right
}

func astar(n int) func() bool {
	seen := Seen(n)
	closed := deal(n*n*n, func() Job[uint32] { return NewSearch(n, seen) }, 0)
	return func() bool { return closed == uint64(n*n*n) }
}

func sieve(n int) func() bool {
	result := make(chan int, 1)
	var filter func(in chan uint32, before int)
	filter = func(in chan uint32, before int) {
		var local Filter
		var next chan uint32
		for candidate := range in {
			if !local.Pass(candidate) {
				continue
			}
			if next == nil {
				next = make(chan uint32, 1024)
				go filter(next, before+len(local.Primes))
			}
			next <- candidate
		}
		if next == nil {
			result <- before + len(local.Primes)
		} else {
			close(next)
		}
	}
	first := make(chan uint32, 1024)
	go filter(first, 1)
	for candidate := 3; candidate < n; candidate += 2 {
		first <- uint32(candidate)
	}
	close(first)
	count := <-result
	return func() bool { return PrimesRight(n, count) }
}

func radixSort(n int) func() bool {
	const bits = 30
	source := make(chan uint32, 1024)
	in := source
	for bit := 0; bit < bits; bit++ {
		out := make(chan uint32, 1024)
		go func(in chan uint32) {
			kept := make([]uint32, 0, n)
			for number := range in {
				if number>>bit&1 != 0 {
					kept = append(kept, number)
				} else {
					out <- number
				}
			}
			for _, number := range kept {
				out <- number
			}
			close(out)
		}(in)
		in = out
	}
	go func() {
		seed := uint32(1)
		for i := 0; i < n; i++ {
			source <- Draw(&seed)
		}
		close(source)
	}()
	last, sum, sorted := uint32(0), int64(0), true
	for number := range in {
		sorted = sorted && number >= last
		last = number
		sum += int64(number)
	}
	return func() bool { return sorted && SumRight(n, sum) }
}

func quicksort(n int) func() bool {
	var sort func(items []int64, result chan []int64)
	sort = func(items []int64, result chan []int64) {
		less, equal, more, sorted := Split(items)
		if sorted {
			result <- items
			return
		}
		left, right := make(chan []int64, 1), make(chan []int64, 1)
		go sort(less, left)
		go sort(more, right)
		whole := append(append(make([]int64, 0, len(items)), <-left...), equal...)
		result <- append(whole, <-right...)
	}
	result := make(chan []int64, 1)
	go sort(Numbers(n), result)
	sorted := <-result
	return func() bool { return Sorted(n, sorted) }
}

func trapezoid(n int) func() bool {
	const workers = 100
	pieces := n / workers
	width := 4 / float64(pieces*workers)
	areas := make(chan float64, workers)
	for i := 0; i < workers; i++ {
		go func() { areas <- Integrate(1+float64(i*pieces)*width, width, pieces) }()
	}
	area := 0.0
	for i := 0; i < workers; i++ {
		area += <-areas
	}
	return func() bool { return AreaRight(pieces*workers, area) }
}
