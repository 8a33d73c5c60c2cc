// SPDX-License-Identifier: MIT

package main

import . "peers/contract"

type visit struct {
	kind   int
	colour int
	from   chan visit
}

const (
	meet = iota
	change
	exit
)

func complement(a, b int) int {
	if a == b {
		return a
	}
	return 3 - a - b
}

func creature(me, mall chan visit, colour int, count chan int) {
	meetings := 0
	mall <- visit{meet, colour, me}
	for message := range me {
		switch message.kind {
		case exit:
			count <- meetings
			return
		case meet:
			colour = complement(colour, message.colour)
			message.from <- visit{change, colour, me}
		default:
			colour = message.colour
		}
		meetings++
		mall <- visit{meet, colour, me}
	}
}

func chameneos(n int) func() bool {
	const size = 100
	mall, count := make(chan visit, size), make(chan int, size)
	for i := 0; i < size; i++ {
		go creature(make(chan visit, 2), mall, i%3, count)
	}
	var waiting chan visit
	for left, gone := n, 0; gone < size; {
		message := <-mall
		if left == 0 {
			message.from <- visit{kind: exit}
			gone++
		} else if waiting == nil {
			waiting = message.from
		} else {
			waiting <- message
			waiting = nil
			left--
		}
	}
	met := 0
	for i := 0; i < size; i++ {
		met += <-count
	}
	return func() bool { return met == 2*n }
}

type lookup struct {
	put   bool
	key   uint64
	reply chan uint64
}

func dictionary(n int) func() bool {
	const workers, keys = 20, 4096
	requests, finished := make(chan lookup, workers), make(chan int, workers)
	go func() {
		entries := make(map[uint64]uint64, keys)
		for request := range requests {
			if request.put {
				entries[request.key] = request.key
			}
			request.reply <- entries[request.key]
		}
	}()
	for i := 0; i < workers; i++ {
		go func() {
			seed, right, reply := uint32(i*7919+1), 0, make(chan uint64, 1)
			for k := 0; k < n/workers; k++ {
				key := uint64(Random(&seed)%keys + 1)
				requests <- lookup{Random(&seed)%100 < 10, key, reply}
				if value := <-reply; value == 0 || value == key {
					right++
				}
			}
			finished <- right
		}()
	}
	right := 0
	for i := 0; i < workers; i++ {
		right += <-finished
	}
	close(requests)
	return func() bool { return right == n/workers*workers }
}

// A channel is a bounded buffer: producers and consumers need no manager.
func boundedBuffer(n int) func() bool {
	const producers, consumers, room, cost = 40, 40, 50, 25
	items, sums := make(chan uint32, room), make(chan uint32, consumers)
	ends := make(chan bool, producers)
	for i := 0; i < producers; i++ {
		go func() {
			item := uint32(i + 1)
			for k := 0; k < n/producers; k++ {
				item = Work(item, cost)
				items <- item
			}
			ends <- true
		}()
	}
	for i := 0; i < consumers; i++ {
		go func() {
			sum, used := uint32(0), uint32(0)
			for item := range items {
				sum += item
				used += Work(item, cost)
			}
			sink = used
			sums <- sum
		}()
	}
	for i := 0; i < producers; i++ {
		<-ends
	}
	close(items)
	sum := uint32(0)
	for i := 0; i < consumers; i++ {
		sum += <-sums
	}
	return func() bool { return ItemsRight(n/producers, sum) }
}

// Keeps the compiler from leaving the work out.
var sink uint32

type plea struct {
	seat   int
	done   bool
	answer chan bool
}

func philosophers(n int) func() bool {
	const size = 20
	pleas, left := make(chan plea, size), make(chan bool, size)
	meals := 0
	end := make(chan bool)
	go func() {
		var used [size]bool
		for p := range pleas {
			a, b := p.seat, (p.seat+1)%size
			if p.done {
				used[a], used[b] = false, false
				meals++
				continue
			}
			granted := !used[a] && !used[b]
			if granted {
				used[a], used[b] = true, true
			}
			p.answer <- granted
		}
		end <- true
	}()
	for i := 0; i < size; i++ {
		go func() {
			answer := make(chan bool, 1)
			for k := 0; k < n/size; {
				pleas <- plea{seat: i, answer: answer}
				if <-answer {
					pleas <- plea{seat: i, done: true}
					k++
				}
			}
			left <- true
		}()
	}
	for i := 0; i < size; i++ {
		<-left
	}
	close(pleas)
	<-end
	return func() bool { return meals == n/size*size }
}

// A customer is a goroutine; the waiting room is a channel of 1,000; who finds it full tries again.
func sleepingBarber(n int) func() bool {
	const seats, cost = 1000, 50
	room, served := make(chan chan bool, seats), make(chan bool, 1024)
	go func() {
		seed := uint32(1)
		for customer := range room {
			seed = Work(seed, cost)
			customer <- true
		}
		sink = seed
	}()
	returned := make(chan chan bool, n)
	enter := func(customer chan bool) {
		select {
		case room <- customer:
		default:
			returned <- customer
		}
	}
	end := make(chan int)
	go func() {
		count := 0
		for ; count < n; count++ {
			<-served
		}
		end <- count
	}()
	seed := uint32(1)
	for i := 0; i < n; i++ {
		seed = Work(seed, cost)
		customer := make(chan bool, 1)
		go func() {
			<-customer
			served <- true
		}()
		enter(customer)
	}
	for count := -1; ; {
		select {
		case customer := <-returned:
			room <- customer
		case count = <-end:
			close(room)
			return func() bool { return count == n }
		}
	}
}

func smokers(n int) func() bool {
	const size, cost = 200, 50
	var smokers [size]chan uint32
	started := make(chan bool, size)
	for i := range smokers {
		smokers[i] = make(chan uint32, 256)
		go func(me chan uint32) {
			smoke := uint32(0)
			for iterations := range me {
				started <- true
				smoke = Work(smoke, int(iterations))
			}
			sink = smoke
		}(smokers[i])
	}
	seed, rounds := uint32(1), 0
	for i := 0; i < n; i++ {
		chosen := Random(&seed) % size
		smokers[chosen] <- Random(&seed) % cost
		<-started
		rounds++
	}
	return func() bool {
		for _, smoker := range smokers {
			close(smoker)
		}
		return rounds == n
	}
}
