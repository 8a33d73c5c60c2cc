// SPDX-License-Identifier: MIT

package main

import (
	"math"
	"slices"
	"sync/atomic"

	. "peers/contract"
)

type board struct{ columns, left, right, queens uint32 }

func (b board) free(all uint32) uint32 { return all &^ (b.columns | b.left | b.right) }
func (b board) with(bit uint32) board {
	return board{b.columns | bit, (b.left | bit) << 1, (b.right | bit) >> 1, b.queens + 1}
}

func (b board) count(all uint32) (found uint64) {
	if b.columns == all {
		return 1
	}
	for free := b.free(all); free != 0; free &= free - 1 {
		found += b.with(free & -free).count(all)
	}
	return
}

func nqueens(n int) func() bool {
	const workers, threshold = 20, 4
	all := uint32(1)<<n - 1
	work, boards, done := make(chan board, 65536), make(chan board, 65536), make(chan uint64, 65536)
	for i := 0; i < workers; i++ {
		go func() {
			for b := range work {
				found := uint64(0)
				if b.queens >= threshold {
					found = b.count(all)
				} else {
					for free := b.free(all); free != 0; free &= free - 1 {
						boards <- b.with(free & -free)
					}
				}
				done <- found
			}
		}()
	}
	solutions := uint64(0)
	work <- board{}
	for missing := 1; missing > 0; {
		select {
		case b := <-boards:
			missing++
			work <- b
			continue
		default:
		}
		select {
		case b := <-boards:
			missing++
			work <- b
		case found := <-done:
			for more := true; more; { // what this worker gave back comes first
				select {
				case b := <-boards:
					missing++
					work <- b
				default:
					more = false
				}
			}
			solutions += found
			missing--
		}
	}
	close(work)
	return func() bool { return solutions == Queens[n] }
}

func sieve(n int) func() bool {
	const primes = 1000
	result := make(chan int, 1)
	var filter func(in chan uint32, before int)
	filter = func(in chan uint32, before int) {
		local := make([]uint32, 0, primes)
		var next chan uint32
	candidates:
		for candidate := range in {
			for _, prime := range local {
				if candidate%prime == 0 {
					continue candidates
				}
			}
			if len(local) < primes {
				local = append(local, candidate)
				continue
			}
			if next == nil {
				next = make(chan uint32, 1024)
				go filter(next, before+primes)
			}
			next <- candidate
		}
		if next == nil {
			result <- before + len(local)
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
	return func() bool { return count == Primes(n) }
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
	last, sum, sorted := uint32(0), uint64(0), true
	for number := range in {
		sorted = sorted && number >= last
		last = number
		sum += uint64(number)
	}
	return func() bool {
		seed := uint32(1)
		for i := 0; i < n; i++ {
			sum -= uint64(Draw(&seed))
		}
		return sorted && sum == 0
	}
}

func quicksort(n int) func() bool {
	const alone = 2048
	var sort func(items []int64, result chan []int64)
	sort = func(items []int64, result chan []int64) {
		if len(items) < alone {
			slices.Sort(items)
			result <- items
			return
		}
		pivot, equal := items[len(items)/2], 0
		less, more := make([]int64, 0, len(items)/2), make([]int64, 0, len(items)/2)
		for _, item := range items {
			switch {
			case item < pivot:
				less = append(less, item)
			case item > pivot:
				more = append(more, item)
			default:
				equal++
			}
		}
		left, right := make(chan []int64, 1), make(chan []int64, 1)
		go sort(less, left)
		go sort(more, right)
		whole := append(make([]int64, 0, len(items)), <-left...)
		for ; equal > 0; equal-- {
			whole = append(whole, pivot)
		}
		result <- append(whole, <-right...)
	}
	seed, expected := uint32(1), int64(0)
	items := make([]int64, n)
	for i := range items {
		items[i] = int64(Draw(&seed))
		expected += items[i]
	}
	result := make(chan []int64, 1)
	go sort(items, result)
	sorted := <-result
	return func() bool {
		for _, item := range sorted {
			expected -= item
		}
		return len(sorted) == n && slices.IsSorted(sorted) && expected == 0
	}
}

func f(x float64) float64 {
	return 1 / (x + 1) * math.Sqrt(1+math.Exp(math.Sqrt(2*x))) * math.Sin(x*x*x-1)
}

func integrate(left, width float64, pieces int) (sum float64) {
	for i := 0; i < pieces; i++ {
		x := left + float64(i)*width
		sum += (f(x) + f(x+width)) / 2 * width
	}
	return
}

func trapezoid(n int) func() bool {
	const workers = 100
	pieces := n / workers
	width := 4 / float64(pieces*workers)
	areas := make(chan float64, workers)
	for i := 0; i < workers; i++ {
		go func() { areas <- integrate(1+float64(i*pieces)*width, width, pieces) }()
	}
	area := 0.0
	for i := 0; i < workers; i++ {
		area += <-areas
	}
	return func() bool { return math.Abs(area-integrate(1, width, pieces*workers)) < 1e-9 }
}

type block struct{ row, column, size int }

func matmul(n int) func() bool {
	const workers, small = 20, 32
	a, b, c := make([]float64, n*n), make([]float64, n*n), make([]float64, n*n)
	for i := range a {
		a[i], b[i] = float64((i/n+i%n)%7), float64((i/n*3+i%n)%5)
	}
	multiply := func(w block) {
		for i := w.row; i < w.row+w.size; i++ {
			to := c[i*n+w.column:][:w.size]
			for k := 0; k < n; k++ {
				factor, from := a[i*n+k], b[k*n+w.column:][:len(to)]
				for j := range to {
					to[j] += factor * from[j]
				}
			}
		}
	}
	work, quarters, done := make(chan block, 4096), make(chan block, 4096), make(chan bool, 4096)
	for i := 0; i < workers; i++ {
		go func() {
			for w := range work {
				if w.size <= small {
					multiply(w)
					done <- true
					continue
				}
				half := w.size / 2
				for q := 0; q < 4; q++ {
					quarters <- block{w.row + q/2*half, w.column + q%2*half, half}
				}
			}
		}()
	}
	work <- block{0, 0, n}
	for missing := max(1, n/small) * max(1, n/small); missing > 0; {
		select {
		case w := <-quarters:
			work <- w
		case <-done:
			missing--
		}
	}
	close(work)
	return func() bool {
		for i := 0; i < n; i += 7 {
			for j := 0; j < n; j++ {
				expected := 0.0
				for k := 0; k < n; k++ {
					expected += a[i*n+k] * b[k*n+j]
				}
				if expected != c[i*n+j] {
					return false
				}
			}
		}
		return true
	}
}

type open struct{ distance, node uint32 }

type heap []open

func (h *heap) push(o open) {
	*h = append(*h, o)
	s, at := *h, len(*h)-1
	for ; at > 0 && s[(at-1)/2].distance > o.distance; at = (at - 1) / 2 {
		s[at] = s[(at-1)/2]
	}
	s[at] = o
}

func (h *heap) pop() uint32 {
	s := *h
	node, last := s[0].node, s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	at := 0
	for child := 1; child < len(s); child = 2*at + 1 {
		if child+1 < len(s) && s[child+1].distance < s[child].distance {
			child++
		}
		if s[child].distance >= last.distance {
			break
		}
		s[at] = s[child]
		at = child
	}
	if len(s) > 0 {
		s[at] = last
	}
	return node
}

func astar(n int) func() bool {
	const workers, threshold = 20, 1024
	side := uint32(n)
	seen := make([]atomic.Bool, n*n*n)
	work, nodes, done := make(chan uint32, n*n*n), make(chan uint32, n*n*n), make(chan int, n*n*n)
	distance := func(node uint32) uint32 {
		return 3*(side-1) - node%side - node/side%side - node/side/side
	}
	for i := 0; i < workers; i++ {
		go func() {
			var h heap
			try := func(node uint32) {
				if !seen[node].Swap(true) {
					h.push(open{distance(node), node})
				}
			}
			for node := range work {
				h.push(open{distance(node), node})
				opened := 0
				for ; opened < threshold && len(h) > 0; opened++ {
					node := h.pop()
					for _, step := range [3]uint32{1, side, side * side} {
						place := node / step % side
						if place > 0 {
							try(node - step)
						}
						if place+1 < side {
							try(node + step)
						}
					}
				}
				for len(h) > 0 {
					nodes <- h.pop()
				}
				done <- opened
			}
		}()
	}
	seen[0].Store(true)
	work <- 0
	closed := 0
	for closed < n*n*n {
		select {
		case node := <-nodes:
			work <- node
		case opened := <-done:
			closed += opened
		}
	}
	close(work)
	return func() bool { return closed == n*n*n && seen[n*n*n-1].Load() }
}
