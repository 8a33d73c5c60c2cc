// SPDX-License-Identifier: MIT

package main

import (
	"runtime"

	. "peers/contract"
)

func pingPong(n int) func() bool {
	ping, pong := make(chan uint64, 1), make(chan uint64, 1)
	go func() {
		for left := range pong {
			ping <- left - 1
		}
	}()
	rallies := 0
	pong <- uint64(n/2*2 - 1)
	for left := range ping {
		rallies++
		if left == 0 {
			break
		}
		pong <- left - 1
	}
	close(pong)
	return func() bool { return rallies == n/2 }
}

func counting(n int) func() bool {
	counter, done := make(chan uint64, 1024), make(chan int)
	go func() {
		counted := 0
		for range counter {
			counted++
		}
		done <- counted
	}()
	for i := 0; i < n; i++ {
		counter <- uint64(i)
	}
	close(counter)
	counted := <-done
	return func() bool { return counted == n }
}

func ring(n int) func() bool {
	const size = 100
	var members [size]chan uint64
	done := make(chan int)
	for i := range members {
		members[i] = make(chan uint64, 1)
	}
	for i := range members {
		go func(me, next chan uint64) {
			for left := range me {
				if left == 0 {
					done <- i
				} else {
					next <- left - 1
				}
			}
		}(members[i], members[(i+1)%size])
	}
	members[0] <- uint64(n - 1)
	last := <-done
	return func() bool {
		for _, member := range members {
			close(member)
		}
		return last == (n-1)%size
	}
}

type request struct {
	answer bool
	from   chan request
}

func big(n int) func() bool {
	const size = 64
	var bigs [size]chan request
	finished := make(chan int, size)
	for i := range bigs {
		bigs[i] = make(chan request, 2*size)
	}
	rounds := n / 2 / size
	for i := range bigs {
		go func(me chan request) {
			seed, left, answers := uint32(i*7919+1), rounds, 0
			next := func() {
				if left == 0 {
					finished <- answers
					return
				}
				left--
				bigs[Random(&seed)%size] <- request{from: me}
			}
			next()
			for message := range me {
				if message.answer {
					answers++
					next()
				} else {
					message.from <- request{answer: true}
				}
			}
		}(bigs[i])
	}
	answers := 0
	for range bigs {
		answers += <-finished
	}
	return func() bool {
		for _, member := range bigs {
			close(member)
		}
		return answers == rounds*size
	}
}

func forkJoinCreate(n int) func() bool {
	done := make(chan uint64, 1024)
	go func() {
		for i := 0; i < n; i++ {
			mailbox := make(chan uint64, 1)
			go func() {
				<-mailbox
				done <- 1
			}()
			mailbox <- uint64(i)
			if i%Burst == 0 {
				runtime.Gosched()
			}
		}
	}()
	joined := 0
	for i := 0; i < n; i++ {
		joined += int(<-done)
	}
	return func() bool { return joined == n }
}

func idle(n int) func() bool {
	mailboxes, done := make([]chan uint64, n), make(chan uint64, 1024)
	go func() {
		for i := range mailboxes {
			mailbox := make(chan uint64, 1)
			go func() {
				for range mailbox {
					done <- 1
				}
			}()
			mailbox <- uint64(i)
			mailboxes[i] = mailbox
		}
	}()
	answered := 0
	for range mailboxes {
		answered += int(<-done)
	}
	return func() bool {
		for _, mailbox := range mailboxes {
			close(mailbox)
		}
		return answered == n
	}
}

func forkJoin(n int) func() bool {
	const size = 60
	var sinks [size]chan uint64
	finished := make(chan int, size)
	for i := range sinks {
		sinks[i] = make(chan uint64, 1024)
		go func(me chan uint64) {
			got := 0
			for range me {
				got++
			}
			finished <- got
		}(sinks[i])
	}
	for i := 0; i < n/size*size; i++ {
		sinks[i%size] <- uint64(i)
	}
	received := 0
	for _, sink := range sinks {
		close(sink)
	}
	for range sinks {
		received += <-finished
	}
	return func() bool { return received == n/size*size }
}
