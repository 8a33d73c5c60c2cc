// SPDX-License-Identifier: MIT

package main

import (
	"github.com/asynkron/protoactor-go/actor"

	. "peers/contract"
)

// A queue keeps its array.
type queue[T any] struct {
	items []T
	first int
}

func (q *queue[T]) size() int   { return len(q.items) - q.first }
func (q *queue[T]) push(item T) { q.items = append(q.items, item) }

func (q *queue[T]) pop() T {
	item := q.items[q.first]
	if q.first++; q.first == len(q.items) {
		q.items, q.first = q.items[:0], 0
	} else if q.first >= 64 && q.first*2 >= len(q.items) {
		q.items, q.first = q.items[:copy(q.items, q.items[q.first:])], 0
	}
	return item
}

type (
	produce struct{}
	item    struct {
		item uint32
		from *actor.PID
	}
	use       struct{ item uint32 }
	available struct{ from *actor.PID }
	ended     struct{}
)

var please = &produce{}

type maker struct {
	manager *actor.PID
	left    int
	item    uint32
}

func (m *maker) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *produce:
		if m.left == 0 {
			c.Send(m.manager, &ended{})
			return
		}
		m.left--
		m.item = Work(m.item, 25)
		c.Send(m.manager, &item{m.item, c.Self()})
	}
}

type consumer struct {
	manager   *actor.PID
	available available
	used      uint32
}

func (k *consumer) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *actor.Started:
		k.available.from = c.Self()
	case *use:
		k.used += Work(message.item, 25)
		c.Send(k.manager, &k.available)
	}
}

type manager struct {
	pending              queue[uint32]
	consumers, producers queue[*actor.PID]
	ended                int
	sum                  uint32
	done                 chan uint32
}

func (m *manager) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *all:
		for _, pid := range message.pids {
			m.consumers.push(pid)
		}
		return
	case *item:
		m.take(c, message)
	case *available:
		m.serve(c, message.from)
	case *ended:
		m.ended++
	}
	if m.ended == 40 && m.consumers.size() == 40 {
		m.done <- m.sum
	}
}

func (m *manager) take(c actor.Context, message *item) {
	m.sum += message.item
	if m.consumers.size() > 0 {
		c.Send(m.consumers.pop(), &use{message.item})
	} else {
		m.pending.push(message.item)
	}
	if m.pending.size() >= 10 {
		m.producers.push(message.from)
	} else {
		c.Send(message.from, please)
	}
}

func (m *manager) serve(c actor.Context, consumer *actor.PID) {
	if m.pending.size() == 0 {
		m.consumers.push(consumer)
		return
	}
	c.Send(consumer, &use{m.pending.pop()})
	if m.producers.size() > 0 {
		c.Send(m.producers.pop(), please)
	}
}

func boundedBuffer(n int) func() bool {
	const size = 40
	var s stage
	done := make(chan uint32, 1)
	buffer := s.spawn(func() actor.Actor { return &manager{done: done} })
	for range size {
		s.spawn(func() actor.Actor { return &consumer{manager: buffer} })
	}
	system.Root.Send(buffer, &all{append([]*actor.PID{}, s.pids[1:]...)})
	for i := range size {
		pid := s.spawn(func() actor.Actor { return &maker{buffer, n / size, uint32(i + 1)} })
		system.Root.Send(pid, please)
	}
	sum := <-done
	return func() bool { s.stop(); return ItemsRight(n/size, sum) }
}

type (
	enter    struct{ customer *actor.PID }
	returned struct{ customer *actor.PID }
	cut      struct{ customer *actor.PID }
	full     struct{}
	wait     struct{}
	begin    struct{}
	served   struct{}
)

type customer struct{ factory *actor.PID }

func (k *customer) Receive(c actor.Context) {
	switch c.Message().(type) {
	case *full:
		c.Send(k.factory, &returned{c.Self()})
	case *served:
		c.Send(k.factory, &served{})
		c.Stop(c.Self())
	}
}

type room struct {
	seats  queue[*actor.PID]
	busy   bool
	barber *actor.PID
}

func (r *room) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *enter:
		switch {
		case !r.busy:
			r.busy = true
			c.Send(r.barber, &cut{message.customer})
		case r.seats.size() == 1000:
			c.Send(message.customer, &full{})
		default:
			r.seats.push(message.customer)
			c.Send(message.customer, &wait{})
		}
	case *more:
		r.busy = r.seats.size() > 0
		if r.busy {
			c.Send(r.barber, &cut{r.seats.pop()})
		}
	}
}

type barber struct {
	room *actor.PID
	seed uint32
}

func (b *barber) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *next:
		b.room = message.pid
	case *cut:
		c.Send(message.customer, &begin{})
		b.seed = Work(b.seed, 50)
		c.Send(message.customer, &served{})
		c.Send(b.room, &more{})
	}
}

type factory struct {
	room                 *actor.PID
	left, served, wanted int
	seed                 uint32
	done                 chan int
}

func (f *factory) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *actor.Started, *more:
		f.seed = Work(f.seed, 50)
		self := c.Self()
		props := actor.PropsFromProducer(func() actor.Actor { return &customer{self} })
		c.Send(f.room, &enter{c.Spawn(props)})
		if f.left--; f.left > 0 {
			c.Send(self, &more{})
		}
	case *returned:
		c.Send(f.room, &enter{message.customer})
	case *served:
		if f.served++; f.served == f.wanted {
			f.done <- f.served
		}
	}
}

func sleepingBarber(n int) func() bool {
	var s stage
	done := make(chan int, 1)
	cutter := s.spawn(func() actor.Actor { return &barber{} })
	place := s.spawn(func() actor.Actor { return &room{barber: cutter} })
	system.Root.Send(cutter, &next{place})
	s.spawn(func() actor.Actor { return &factory{room: place, left: n, wanted: n, done: done} })
	count := <-done
	return func() bool { s.stop(); return count == n }
}

type (
	want    struct{}
	compute struct {
		x    float64
		from *actor.PID
	}
	term struct{ x float64 }
	get  struct{}
)

type computer struct{ rate float64 }

func (k *computer) Receive(c actor.Context) {
	if message, ok := c.Message().(*compute); ok {
		c.Send(message.from, &term{k.rate * message.x * (1 - message.x)})
	}
}

type series struct {
	computer *actor.PID
	term     float64
	wanted   int
	asked    bool
	terms    chan float64
}

func (s *series) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *want:
		if s.wanted++; s.wanted > 1 {
			return
		}
	case *term:
		s.term = message.x
		s.wanted--
	case *get:
		s.asked = true
		if s.wanted > 0 {
			return
		}
	default:
		return
	}
	if s.wanted > 0 {
		c.Send(s.computer, &compute{s.term, c.Self()})
	} else if s.asked {
		s.terms <- s.term
	}
}

func logisticMap(n int) func() bool {
	const size = 10
	var s stage
	var all []*actor.PID
	terms := make(chan float64, size)
	for i := range size {
		k := s.spawn(func() actor.Actor { return &computer{Rate(i)} })
		all = append(all, s.spawn(func() actor.Actor {
			return &series{computer: k, term: FirstTerm(i), terms: terms}
		}))
	}
	next := &want{}
	for range n / size {
		for _, pid := range all {
			system.Root.Send(pid, next)
		}
	}
	for _, pid := range all {
		system.Root.Send(pid, &get{})
	}
	sum := 0.0
	for range size {
		sum += <-terms
	}
	return func() bool { s.stop(); return TermsRight(n/size, sum) }
}

type (
	transfer struct{ to, amount int }
	deposit  struct {
		amount int
		from   *actor.PID
	}
	deposited struct{}
	ready     struct{}
	shut      struct{}
	balance   struct{ amount int }
)

type account struct {
	all     []*actor.PID
	teller  *actor.PID
	balance int
	waiting bool
	kept    queue[*transfer]
}

func (a *account) begin(c actor.Context, t *transfer) {
	a.waiting = true
	a.balance -= t.amount
	c.Send(a.all[t.to], &deposit{t.amount, c.Self()})
}

func (a *account) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *all:
		a.all = message.pids
	case *transfer:
		if a.waiting {
			a.kept.push(message)
		} else {
			a.begin(c, message)
		}
	case *deposit:
		a.balance += message.amount
		c.Send(message.from, &deposited{})
	case *deposited:
		c.Send(a.teller, &ready{})
		a.waiting = false
		if a.kept.size() > 0 {
			a.begin(c, a.kept.pop())
		}
	case *shut:
		c.Send(a.teller, &balance{a.balance})
	}
}

type teller struct {
	all             []*actor.PID
	missing, wanted int
	open, total     int
	done            chan int
}

func (t *teller) Receive(c actor.Context) {
	switch message := c.Message().(type) {
	case *all:
		t.all, t.missing, t.open = message.pids, t.wanted, len(message.pids)
		seed := uint32(1)
		for range t.wanted {
			from := Random(&seed) % 999
			to := from + 1 + Random(&seed)%(999-from)
			c.Send(t.all[from], &transfer{int(to), int(Random(&seed) % 1000)})
		}
	case *ready:
		if t.missing--; t.missing == 0 {
			for _, pid := range t.all {
				c.Send(pid, &shut{})
			}
		}
	case *balance:
		t.total += message.amount
		if t.open--; t.open == 0 {
			t.done <- t.total
		}
	}
}

func bank(n int) func() bool {
	var s stage
	done := make(chan int, 1)
	clerk := s.spawn(func() actor.Actor { return &teller{wanted: n, done: done} })
	for range 1000 {
		s.spawn(func() actor.Actor { return &account{teller: clerk} })
	}
	accounts := &all{append([]*actor.PID{}, s.pids[1:]...)}
	for _, pid := range accounts.pids {
		system.Root.Send(pid, accounts)
	}
	system.Root.Send(clerk, accounts)
	total := <-done
	return func() bool { s.stop(); return total == 0 }
}
