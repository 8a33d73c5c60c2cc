// SPDX-License-Identifier: MIT

package main

import (
	"github.com/asynkron/protoactor-go/actor"

	. "peers/contract"
)

type fibResult struct{ value int }

type fibActor struct {
	n, sum, missing int
	done            chan int // the root's
}

func spawnFib(c actor.SpawnerContext, n int, done chan int) *actor.PID {
	return c.Spawn(actor.PropsFromProducer(func() actor.Actor { return &fibActor{n, 0, 2, done} }))
}

func (f *fibActor) finish(c actor.Context, value int) {
	if f.done != nil {
		f.done <- value
	} else {
		c.Send(c.Parent(), &fibResult{value})
	}
	c.Stop(c.Self())
}

func (f *fibActor) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *actor.Started:
		if f.n <= 2 {
			f.finish(c, 1)
			return
		}
		spawnFib(c, f.n-1, nil)
		spawnFib(c, f.n-2, nil)
	case *fibResult:
		f.sum += message.value
		if f.missing--; f.missing == 0 {
			f.finish(c, f.sum)
		}
	}
}

func fib(n int) func() bool {
	done := make(chan int, 1)
	root := spawnFib(system.Root, n, done)
	value := <-done
	return func() bool { _ = system.Root.StopFuture(root).Wait(); return value == Fibonacci(n) }
}

type (
	dealt[I any] struct{ item I }
	given[I any] struct{ item I }
	did          struct{ value uint64 }
)

type dealer[I any] struct {
	workers []*actor.PID
	missing int
	dealt   int
	sum     uint64
	done    chan uint64
}

func (d *dealer[I]) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *all:
		d.workers = message.pids
	case *given[I]:
		d.missing++
		c.Send(d.workers[d.dealt%20], &dealt[I]{message.item})
		d.dealt++
	case *did:
		d.sum += message.value
		if d.missing--; d.missing == 0 {
			d.done <- d.sum
		}
	}
}

type worker[I any] struct {
	job    Job[I]
	dealer *actor.PID
}

func (w *worker[I]) Receive(c actor.Context) {
	if message, ok := c.Message().(*dealt[I]); ok {
		value := w.job.Work(message.item, func(part I) { c.Send(w.dealer, &given[I]{part}) })
		c.Send(w.dealer, &did{value})
	}
}

func deal[I any](s *stage, job func() Job[I], first I) uint64 {
	done := make(chan uint64, 1)
	master := s.spawn(func() actor.Actor { return &dealer[I]{done: done} })
	for range 20 {
		s.spawn(func() actor.Actor { return &worker[I]{job(), master} })
	}
	system.Root.Send(master, &all{append([]*actor.PID{}, s.pids[1:]...)})
	system.Root.Send(master, &given[I]{first})
	return <-done
}

func nqueens(n int) func() bool {
	var s stage
	queens := NewQueens(n)
	solutions := deal(&s, func() Job[Board] { return queens }, Board{})
	return func() bool { s.stop(); return SolutionsRight(n, solutions) }
}

func matmul(n int) func() bool {
	var s stage
	product := NewProduct(n)
	deal(&s, func() Job[Block] { return product }, product.Whole())
	return func() bool { s.stop(); return product.Right() }
}

func astar(n int) func() bool {
	var s stage
	seen := Seen(n)
	closed := deal(&s, func() Job[uint32] { return NewSearch(n, seen) }, 0)
	return func() bool { s.stop(); return closed == uint64(n*n*n) }
}

type (
	number struct{ number uint32 }
	end    struct{ before int }
)

type filter struct {
	primes Filter
	next   *actor.PID
	done   chan int
}

func (f *filter) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *number:
		if !f.primes.Pass(message.number) {
			return
		}
		if f.next == nil {
			f.next = c.Spawn(actor.PropsFromProducer(func() actor.Actor { return &filter{done: f.done} }))
		}
		c.Send(f.next, message)
	case *end:
		count := message.before + len(f.primes.Primes)
		if f.next == nil {
			f.done <- count
		} else {
			c.Send(f.next, &end{count})
		}
	}
}

type candidates struct {
	first     *actor.PID
	next, end uint32
}

func (k *candidates) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *actor.Started, *more:
		for i := 0; i < Burst && k.next < k.end; i, k.next = i+1, k.next+2 {
			c.Send(k.first, &number{k.next})
		}
		if k.next < k.end {
			c.Send(c.Self(), &more{})
		} else {
			c.Send(k.first, &end{1}) // 2 is one
		}
	}
}

func sieve(n int) func() bool {
	var s stage
	done := make(chan int, 1)
	first := s.spawn(func() actor.Actor { return &filter{done: done} })
	s.spawn(func() actor.Actor { return &candidates{first, 3, uint32(n)} })
	count := <-done
	return func() bool { s.stop(); return PrimesRight(n, count) }
}

type sorter struct {
	bit, missing int
	kept         []*number
	next         *actor.PID
}

func (s *sorter) Receive(c actor.Context) {
	message, ok := c.Message().(*number)
	if !ok {
		return
	}
	if message.number>>s.bit&1 != 0 {
		s.kept = append(s.kept, message)
	} else {
		c.Send(s.next, message)
	}
	if s.missing--; s.missing == 0 {
		for _, message := range s.kept {
			c.Send(s.next, message)
		}
	}
}

type sink struct {
	missing int
	last    uint32
	wrong   bool
	sum     int64
	done    chan int64
}

func (s *sink) Receive(c actor.Context) {
	message, ok := c.Message().(*number)
	if !ok {
		return
	}
	s.wrong = s.wrong || message.number < s.last
	s.last = message.number
	s.sum += int64(message.number)
	if s.missing--; s.missing > 0 {
		return
	}
	if s.wrong {
		s.sum = -1
	}
	s.done <- s.sum
}

type source struct {
	first *actor.PID
	left  int
	seed  uint32
}

func (s *source) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *actor.Started, *more:
		for i := 0; i < Burst && s.left > 0; i, s.left = i+1, s.left-1 {
			c.Send(s.first, &number{Draw(&s.seed)})
		}
		if s.left > 0 {
			c.Send(c.Self(), &more{})
		}
	}
}

func radixSort(n int) func() bool {
	var s stage
	done := make(chan int64, 1)
	next := s.spawn(func() actor.Actor { return &sink{missing: n, done: done} })
	for bit := 29; bit >= 0; bit-- {
		to := next
		next = s.spawn(func() actor.Actor { return &sorter{bit, n, make([]*number, 0, n), to} })
	}
	s.spawn(func() actor.Actor { return &source{next, n, 1} })
	sum := <-done
	return func() bool { s.stop(); return SumRight(n, sum) }
}

type (
	unsorted struct{ items []int64 }
	sorted   struct {
		side  int
		items []int64
	}
)

type quick struct {
	side, missing int
	equal         []int64
	sides         [2][]int64
	done          chan []int64 // the root's
}

func spawnQuick(c actor.SpawnerContext, side int, done chan []int64) *actor.PID {
	return c.Spawn(actor.PropsFromProducer(func() actor.Actor {
		return &quick{side: side, missing: 2, done: done}
	}))
}

func (q *quick) handUp(c actor.Context, items []int64) {
	if q.done != nil {
		q.done <- items
	} else {
		c.Send(c.Parent(), &sorted{q.side, items})
	}
	c.Stop(c.Self())
}

func (q *quick) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *unsorted:
		less, equal, rest, alone := Split(message.items)
		if alone {
			q.handUp(c, message.items)
			return
		}
		q.equal = equal
		c.Send(spawnQuick(c, 0, nil), &unsorted{less})
		c.Send(spawnQuick(c, 1, nil), &unsorted{rest})
	case *sorted:
		q.sides[message.side] = message.items
		if q.missing--; q.missing > 0 {
			return
		}
		count := len(q.sides[0]) + len(q.equal) + len(q.sides[1])
		whole := append(append(make([]int64, 0, count), q.sides[0]...), q.equal...)
		q.handUp(c, append(whole, q.sides[1]...))
	}
}

func quicksort(n int) func() bool {
	done := make(chan []int64, 1)
	root := spawnQuick(system.Root, 0, done)
	system.Root.Send(root, &unsorted{Numbers(n)})
	items := <-done
	return func() bool { _ = system.Root.StopFuture(root).Wait(); return Sorted(n, items) }
}

type part struct {
	left, width float64
	pieces      int
}

type integrator struct{ areas chan float64 }

func (i *integrator) Receive(c actor.Context) {
	if p, ok := c.Message().(*part); ok {
		i.areas <- Integrate(p.left, p.width, p.pieces)
	}
}

func trapezoid(n int) func() bool {
	const workers = 100
	var s stage
	pieces := n / workers
	width := 4 / float64(pieces*workers)
	areas := make(chan float64, workers)
	for i := range workers {
		pid := s.spawn(func() actor.Actor { return &integrator{areas} })
		system.Root.Send(pid, &part{1 + float64(i*pieces)*width, width, pieces})
	}
	area := 0.0
	for range workers {
		area += <-areas
	}
	return func() bool { s.stop(); return AreaRight(pieces*workers, area) }
}
