// SPDX-License-Identifier: MIT

// The Savina workloads on Proto.Actor for Go.
package main

import (
	"io"
	"log/slog"

	"github.com/asynkron/protoactor-go/actor"

	. "peers/contract"
)

var system = actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
	return slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1}))
}))

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

type (
	ball  struct{ left int }
	count struct{}
	more  struct{}
	ask   struct{ from *actor.PID }
	work  struct{ from *actor.PID }
)

type (
	answer struct{}
	next   struct{ pid *actor.PID }
	all    struct{ pids []*actor.PID }
)

type stage struct{ pids []*actor.PID }

func (s *stage) spawn(make func() actor.Actor) *actor.PID {
	pid := system.Root.Spawn(actor.PropsFromProducer(make))
	s.pids = append(s.pids, pid)
	return pid
}

func (s *stage) stop() {
	for _, pid := range s.pids {
		_ = system.Root.StopFuture(pid).Wait()
	}
}

type pong struct{}

func (*pong) Receive(c actor.Context) {
	if message, ok := c.Message().(*ball); ok {
		c.Request(c.Sender(), &ball{message.left - 1})
	}
}

type ping struct {
	pong    *actor.PID
	rallies int
	total   int
	done    chan int
}

func (p *ping) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *actor.Started:
		c.Request(p.pong, &ball{p.total - 1})
	case *ball:
		p.rallies++
		if message.left > 0 {
			c.Request(p.pong, &ball{message.left - 1})
		} else {
			p.done <- p.rallies
		}
	}
}

func pingPong(n int) func() bool {
	var s stage
	done := make(chan int, 1)
	other := s.spawn(func() actor.Actor { return &pong{} })
	s.spawn(func() actor.Actor { return &ping{pong: other, total: n / 2 * 2, done: done} })
	rallies := <-done
	return func() bool { s.stop(); return rallies == n/2 }
}

type counter struct {
	counted, wanted int
	done            chan int
}

func (k *counter) Receive(c actor.Context) {
	if _, ok := c.Message().(*count); ok {
		if k.counted++; k.counted == k.wanted {
			k.done <- k.counted
		}
	}
}

type producer struct {
	to   []*actor.PID
	left int
}

func (p *producer) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *actor.Started, *more:
		for i := 0; i < Burst && p.left > 0; i++ {
			c.Send(p.to[p.left%len(p.to)], &count{})
			p.left--
		}
		if p.left > 0 {
			c.Send(c.Self(), &more{})
		}
	}
}

func counting(n int) func() bool {
	var s stage
	done := make(chan int, 1)
	to := s.spawn(func() actor.Actor { return &counter{wanted: n, done: done} })
	s.spawn(func() actor.Actor { return &producer{[]*actor.PID{to}, n} })
	counted := <-done
	return func() bool { s.stop(); return counted == n }
}

func forkJoin(n int) func() bool {
	var s stage
	done := make(chan int, 60)
	for i := 0; i < 60; i++ {
		s.spawn(func() actor.Actor { return &counter{wanted: n / 60, done: done} })
	}
	sinks := append([]*actor.PID{}, s.pids...)
	s.spawn(func() actor.Actor { return &producer{sinks, n / 60 * 60} })
	received := 0
	for range sinks {
		received += <-done
	}
	return func() bool { s.stop(); return received == n/60*60 }
}

type member struct {
	next *actor.PID
	last bool
	done chan bool
}

func (m *member) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *next:
		m.next = message.pid
	case *ball:
		if message.left > 0 {
			c.Send(m.next, &ball{message.left - 1})
		} else {
			m.done <- m.last
		}
	}
}

func ring(n int) func() bool {
	var s stage
	done := make(chan bool, 1)
	for i := 0; i < 100; i++ {
		s.spawn(func() actor.Actor { return &member{last: i == (n-1)%100, done: done} })
	}
	for i := 0; i < 100; i++ {
		system.Root.Send(s.pids[i], &next{s.pids[(i+1)%100]})
	}
	system.Root.Send(s.pids[0], &ball{n - 1})
	right := <-done
	return func() bool { s.stop(); return right }
}

type member64 struct {
	bigs          []*actor.PID
	ask           *ask
	left, answers int
	seed          uint32
	done          chan int
}

func (b *member64) next(c actor.Context) {
	if b.left == 0 {
		b.done <- b.answers
		return
	}
	b.left--
	c.Send(b.bigs[Random(&b.seed)%64], b.ask)
}

func (b *member64) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *all:
		b.bigs, b.ask = message.pids, &ask{c.Self()}
		b.next(c)
	case *ask:
		c.Send(message.from, &answer{})
	case *answer:
		b.answers++
		b.next(c)
	}
}

func big(n int) func() bool {
	var s stage
	done := make(chan int, 64)
	for i := 0; i < 64; i++ {
		s.spawn(func() actor.Actor { return &member64{left: n / 128, seed: uint32(i*7919 + 1), done: done} })
	}
	for _, pid := range s.pids {
		system.Root.Send(pid, &all{s.pids})
	}
	answers := 0
	for range s.pids {
		answers += <-done
	}
	return func() bool { s.stop(); return answers == n/128*64 }
}

// Answers, and then ends or stays.
type leaf struct{ stays bool }

func (l *leaf) Receive(c actor.Context) {
	if message, ok := c.Message().(*work); ok {
		c.Send(message.from, &count{})
		if !l.stays {
			c.Stop(c.Self())
		}
	}
}

type fork struct {
	leaf                 *actor.Props
	left, joined, wanted int
	done                 chan int
}

func (f *fork) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *actor.Started, *more:
		order := &work{c.Self()}
		for i := 0; i < Burst && f.left > 0; i++ {
			c.Send(c.Spawn(f.leaf), order)
			f.left--
		}
		if f.left > 0 {
			c.Send(c.Self(), &more{})
		}
	case *count:
		if f.joined++; f.joined == f.wanted {
			f.done <- f.joined
		}
	}
}

func forkJoinCreate(n int) func() bool { return create(n, false) }

func idle(n int) func() bool { return create(n, true) }

func create(n int, stay bool) func() bool {
	var s stage
	done := make(chan int, 1)
	leaf := actor.PropsFromProducer(func() actor.Actor { return &leaf{stay} })
	s.spawn(func() actor.Actor { return &fork{leaf: leaf, left: n, wanted: n, done: done} })
	joined := <-done
	return func() bool { s.stop(); return joined == n }
}
