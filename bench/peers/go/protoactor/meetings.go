// SPDX-License-Identifier: MIT

package main

import (
	"github.com/asynkron/protoactor-go/actor"

	. "peers/contract"
)

type (
	visit struct {
		from   *actor.PID
		colour int
	}
	change struct{ colour int }
	exit   struct{}
)

type creature struct {
	mall             *actor.PID
	colour, meetings int
	count            chan int
}

func (k *creature) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *actor.Started:
		c.Send(k.mall, &visit{c.Self(), k.colour})
		return
	case *visit:
		if k.colour != message.colour {
			k.colour = 3 - k.colour - message.colour
		}
		c.Send(message.from, &change{k.colour})
	case *change:
		k.colour = message.colour
	case *exit:
		k.count <- k.meetings
		return
	default:
		return
	}
	k.meetings++
	c.Send(k.mall, &visit{c.Self(), k.colour})
}

type mall struct {
	left    int
	waiting *actor.PID
}

func (m *mall) Receive(c actor.Context) {
	message, ok := c.Message().(*visit)
	switch {
	case !ok:
	case m.left == 0:
		c.Send(message.from, &exit{})
	case m.waiting == nil:
		m.waiting = message.from
	default:
		c.Send(m.waiting, message)
		m.waiting = nil
		m.left--
	}
}

func chameneos(n int) func() bool {
	const size = 100
	var s stage
	count := make(chan int, size)
	place := s.spawn(func() actor.Actor { return &mall{left: n} })
	for i := 0; i < size; i++ {
		s.spawn(func() actor.Actor { return &creature{mall: place, colour: i % 3, count: count} })
	}
	met := 0
	for i := 0; i < size; i++ {
		met += <-count
	}
	return func() bool { s.stop(); return met == 2*n }
}

type (
	lookup struct {
		put  bool
		key  uint64
		from *actor.PID
	}
	value struct{ value uint64 }
)

type dictionaryActor struct{ entries map[uint64]uint64 }

func (d *dictionaryActor) Receive(c actor.Context) {
	if message, ok := c.Message().(*lookup); ok {
		if message.put {
			d.entries[message.key] = message.key
		}
		c.Send(message.from, &value{d.entries[message.key]})
	}
}

type reader struct {
	dictionary *actor.PID
	left       int
	right      int
	key        uint64
	seed       uint32
	finished   chan int
}

func (r *reader) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *actor.Started:
	case *value:
		if message.value == 0 || message.value == r.key {
			r.right++
		}
	default:
		return
	}
	if r.left == 0 {
		r.finished <- r.right
		return
	}
	r.left--
	r.key = uint64(Random(&r.seed)%4096 + 1)
	c.Send(r.dictionary, &lookup{Random(&r.seed)%100 < 10, r.key, c.Self()})
}

func dictionary(n int) func() bool {
	const workers, keys = 20, 4096
	var s stage
	finished := make(chan int, workers)
	entries := s.spawn(func() actor.Actor { return &dictionaryActor{make(map[uint64]uint64, keys)} })
	for i := 0; i < workers; i++ {
		s.spawn(func() actor.Actor {
			seed := uint32(i*7919 + 1)
			return &reader{dictionary: entries, left: n / workers, seed: seed, finished: finished}
		})
	}
	right := 0
	for i := 0; i < workers; i++ {
		right += <-finished
	}
	return func() bool { s.stop(); return right == n/workers*workers }
}

type (
	hungry struct {
		seat int
		from *actor.PID
	}
	eaten struct{ seat int }
	reply struct{ granted bool }
)

var granted, denied = &reply{true}, &reply{false}

type philosopher struct {
	arbitrator *actor.PID
	hungry     hungry
	eaten      eaten
	left       int
}

func (p *philosopher) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *actor.Started:
		p.hungry.from = c.Self()
	case *reply:
		if message.granted {
			c.Send(p.arbitrator, &p.eaten)
			p.left--
		}
	default:
		return
	}
	if p.left > 0 {
		c.Send(p.arbitrator, &p.hungry)
	}
}

type arbitrator struct {
	used          [20]bool
	meals, wanted int
	done          chan int
}

func (a *arbitrator) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *hungry:
		left, right := &a.used[message.seat], &a.used[(message.seat+1)%20]
		if *left || *right {
			c.Send(message.from, denied)
			return
		}
		*left, *right = true, true
		c.Send(message.from, granted)
	case *eaten:
		a.used[message.seat], a.used[(message.seat+1)%20] = false, false
		if a.meals++; a.meals == a.wanted {
			a.done <- a.meals
		}
	}
}

func philosophers(n int) func() bool {
	const size = 20
	var s stage
	done := make(chan int, 1)
	table := s.spawn(func() actor.Actor { return &arbitrator{wanted: n / size * size, done: done} })
	for i := 0; i < size; i++ {
		s.spawn(func() actor.Actor {
			return &philosopher{arbitrator: table, hungry: hungry{seat: i}, eaten: eaten{i}, left: n / size}
		})
	}
	meals := <-done
	return func() bool { s.stop(); return meals == n/size*size }
}

type (
	smoke struct {
		iterations int
		from       *actor.PID
	}
	smoking struct{}
)

type smoker struct{ smoke uint32 }

func (s *smoker) Receive(c actor.Context) {
	if message, ok := c.Message().(*smoke); ok {
		c.Send(message.from, &smoking{})
		s.smoke = Work(s.smoke, message.iterations)
	}
}

type arbiter struct {
	smokers []*actor.PID
	rounds  int
	wanted  int
	seed    uint32
	done    chan int
}

func (a *arbiter) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *actor.Started:
	case *smoking:
		if a.rounds++; a.rounds == a.wanted {
			a.done <- a.rounds
			return
		}
	default:
		return
	}
	chosen := Random(&a.seed) % 200
	c.Send(a.smokers[chosen], &smoke{int(Random(&a.seed) % 50), c.Self()})
}

func smokers(n int) func() bool {
	var s stage
	done := make(chan int, 1)
	for range 200 {
		s.spawn(func() actor.Actor { return &smoker{} })
	}
	all := append([]*actor.PID{}, s.pids...)
	s.spawn(func() actor.Actor { return &arbiter{smokers: all, wanted: n, seed: 1, done: done} })
	rounds := <-done
	return func() bool { s.stop(); return rounds == n }
}
