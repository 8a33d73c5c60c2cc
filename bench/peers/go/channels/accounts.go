// SPDX-License-Identifier: MIT

package main

import . "peers/contract"

func logisticMap(n int) func() bool {
	const size = 10
	var wants [size]chan bool
	terms := make(chan float64, size)
	for i := range wants {
		wants[i] = make(chan bool, 1024)
		ask, answer := make(chan float64, 1), make(chan float64, 1)
		go func() {
			r := Rate(i)
			for x := range ask {
				answer <- r * x * (1 - x)
			}
		}()
		go func(wanted chan bool) {
			term := FirstTerm(i)
			for range wanted {
				ask <- term
				term = <-answer
			}
			close(ask)
			terms <- term
		}(wants[i])
	}
	for k := 0; k < n/size; k++ {
		for _, wanted := range wants {
			wanted <- true
		}
	}
	for _, wanted := range wants {
		close(wanted)
	}
	sum := 0.0
	for range wants {
		sum += <-terms
	}
	return func() bool { return TermsRight(n/size, sum) }
}

type transfer struct {
	to, amount int
	back       chan bool // a deposit: who waits for it
}

// Transfers and deposits come by channels of their own: who waits for one does not look at the other.
func account(transfers, deposits chan transfer, all []chan transfer, done chan bool, balance chan int) {
	money, word := 0, make(chan bool, 1)
	deposit := func(d transfer) {
		money += d.amount
		d.back <- true
	}
	for {
		select {
		case d, open := <-deposits:
			if !open {
				balance <- money
				return
			}
			deposit(d)
		case t := <-transfers:
			money -= t.amount
			order := transfer{amount: t.amount, back: word}
			for sent, answered := false, false; !answered; {
				to := all[t.to]
				if sent {
					to = nil
				}
				select {
				case to <- order:
					sent = true
				case d := <-deposits:
					deposit(d)
				case answered = <-word:
				}
			}
			done <- true
		}
	}
}

func bank(n int) func() bool {
	const size = 1000
	transfers, deposits := make([]chan transfer, size), make([]chan transfer, size)
	done, balances := make(chan bool, 1024), make(chan int, size)
	for i := range transfers {
		transfers[i], deposits[i] = make(chan transfer, 64), make(chan transfer, 16)
	}
	for i := range transfers {
		go account(transfers[i], deposits[i], deposits, done, balances)
	}
	go func() {
		seed := uint32(1)
		for i := 0; i < n; i++ {
			from := Random(&seed) % (size - 1)
			to := from + 1 + Random(&seed)%(size-1-from)
			transfers[from] <- transfer{to: int(to), amount: int(Random(&seed) % 1000)}
		}
	}()
	count, total := 0, 0
	for ; count < n; count++ {
		<-done
	}
	for _, d := range deposits {
		close(d)
	}
	for range deposits {
		total += <-balances
	}
	return func() bool { return count == n && total == 0 }
}

func fib(n int) func() bool {
	result := make(chan int, 1)
	var call func(n int, result chan int)
	call = func(n int, result chan int) {
		if n <= 2 {
			result <- 1
			return
		}
		sides := make(chan int, 2)
		go call(n-1, sides)
		go call(n-2, sides)
		result <- <-sides + <-sides
	}
	go call(n, result)
	value := <-result
	return func() bool { return value == Fibonacci(n) }
}
