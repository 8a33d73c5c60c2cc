// SPDX-License-Identifier: MIT

package contract

import (
	"math"
	"slices"
	"sync/atomic"
)

// A Job is what a master deals to 20 workers: a worker does an item, or gives parts of it back; the master adds up what
// Work returns.
type Job[I any] interface {
	Work(item I, give func(I)) uint64
}

// A Board has columns and diagonals that are taken.
type Board struct{ columns, left, right, queens uint32 }

// Queens solves boards; n is the number of columns.
type Queens struct{ all uint32 }

func NewQueens(n int) Job[Board] { return Queens{1<<n - 1} }

func (q Queens) Work(b Board, give func(Board)) uint64 {
	if b.queens >= 4 {
		return q.count(b.columns, b.left, b.right)
	}
	for free := q.all &^ (b.columns | b.left | b.right); free != 0; free &= free - 1 {
		bit := free & -free
		give(Board{b.columns | bit, (b.left | bit) << 1, (b.right | bit) >> 1, b.queens + 1})
	}
	return 0
}

func (q Queens) count(columns, left, right uint32) (found uint64) {
	if columns == q.all {
		return 1
	}
	for free := q.all &^ (columns | left | right); free != 0; free &= free - 1 {
		bit := free & -free
		found += q.count(columns|bit, (left|bit)<<1, (right|bit)>>1)
	}
	return
}

// SolutionsRight says whether a board of n columns has so many.
func SolutionsRight(n int, solutions uint64) bool {
	return solutions == []uint64{1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2680, 14200, 73712}[n]
}

// A Block is a part of the product of two matrices.
type Block struct{ row, column, size int }

const small = 32

// A Product is of two n x n matrices, made once and kept from run to run.
type Product struct {
	n       int
	a, b, c []float64
}

var product *Product

func NewProduct(n int) *Product {
	if product == nil {
		product = &Product{n, make([]float64, n*n), make([]float64, n*n), make([]float64, n*n)}
		for i := range product.a {
			product.a[i], product.b[i] = float64((i/n+i%n)%7), float64((i/n*3+i%n)%5)
		}
	}
	return product
}

func (p *Product) Whole() Block { return Block{0, 0, p.n} }

func (p *Product) Work(w Block, give func(Block)) uint64 {
	if w.size <= small {
		p.multiply(w)
		return 0
	}
	half := w.size / 2
	for q := 0; q < 4; q++ {
		give(Block{w.row + q/2*half, w.column + q%2*half, half})
	}
	return 0
}

func (p *Product) multiply(w Block) {
	for i := w.row; i < w.row+w.size; i++ {
		to := p.c[i*p.n+w.column:][:w.size]
		clear(to)
		for k := 0; k < p.n; k++ {
			factor, from := p.a[i*p.n+k], p.b[k*p.n+w.column:][:len(to)]
			for j := range to {
				to[j] += factor * from[j]
			}
		}
	}
}

// Right looks at every seventh row, and clears the result for the next run.
func (p *Product) Right() bool {
	defer clear(p.c)
	for i := 0; i < p.n; i += 7 {
		for j := 0; j < p.n; j++ {
			expected := 0.0
			for k := 0; k < p.n; k++ {
				expected += p.a[i*p.n+k] * p.b[k*p.n+j]
			}
			if expected != p.c[i*p.n+j] {
				return false
			}
		}
	}
	return true
}

type open struct{ distance, node uint32 }

// A Search has a heap of its own, nearest first, and shares what was seen.
type Search struct {
	side uint32
	seen []atomic.Bool
	heap []open
}

// Seen is of a grid of n x n x n nodes; the first one is taken.
func Seen(n int) []atomic.Bool {
	seen := make([]atomic.Bool, n*n*n)
	seen[0].Store(true)
	return seen
}

func NewSearch(n int, seen []atomic.Bool) Job[uint32] { return &Search{side: uint32(n), seen: seen} }

func (s *Search) push(node uint32) {
	o := open{3*(s.side-1) - node%s.side - node/s.side%s.side - node/s.side/s.side, node}
	s.heap = append(s.heap, o)
	h, at := s.heap, len(s.heap)-1
	for ; at > 0 && h[(at-1)/2].distance > o.distance; at = (at - 1) / 2 {
		h[at] = h[(at-1)/2]
	}
	h[at] = o
}

func (s *Search) pop() uint32 {
	node, last := s.heap[0].node, s.heap[len(s.heap)-1]
	s.heap = s.heap[:len(s.heap)-1]
	h, at := s.heap, 0
	for child := 1; child < len(h); child = 2*at + 1 {
		if child+1 < len(h) && h[child+1].distance < h[child].distance {
			child++
		}
		if h[child].distance >= last.distance {
			break
		}
		h[at] = h[child]
		at = child
	}
	if len(h) > 0 {
		h[at] = last
	}
	return node
}

func (s *Search) try(node uint32) {
	if !s.seen[node].Swap(true) {
		s.push(node)
	}
}

func (s *Search) Work(node uint32, give func(uint32)) (opened uint64) {
	s.push(node)
	for ; opened < 1024 && len(s.heap) > 0; opened++ {
		node := s.pop()
		for _, step := range [3]uint32{1, s.side, s.side * s.side} {
			place := node / step % s.side
			if place > 0 {
				s.try(node - step)
			}
			if place+1 < s.side {
				s.try(node + step)
			}
		}
	}
	for len(s.heap) > 0 {
		give(s.pop())
	}
	return
}

// A Filter of the sieve holds up to 1,000 primes.
type Filter struct{ Primes []uint32 }

// Pass says whether a candidate must go to the next filter.
func (f *Filter) Pass(candidate uint32) bool {
	for _, prime := range f.Primes {
		if candidate%prime == 0 {
			return false
		}
	}
	if len(f.Primes) < 1000 {
		f.Primes = append(f.Primes, candidate)
		return false
	}
	return true
}

// PrimesRight says whether there are so many below n.
func PrimesRight(n, count int) bool {
next:
	for i := 2; i < n; i++ {
		for k := 2; k*k <= i; k++ {
			if i%k == 0 {
				continue next
			}
		}
		count--
	}
	return count == 0
}

// Numbers are what is sorted.
func Numbers(n int) []int64 {
	seed := uint32(1)
	items := make([]int64, n)
	for i := range items {
		items[i] = int64(Draw(&seed))
	}
	return items
}

// SumRight says whether a sum is that of the n numbers.
func SumRight(n int, sum int64) bool {
	for _, item := range Numbers(n) {
		sum -= item
	}
	return sum == 0
}

// Sorted says whether items are the n numbers in order.
func Sorted(n int, items []int64) bool {
	expected := Numbers(n)
	slices.Sort(expected)
	return slices.Equal(items, expected)
}

// Split sorts few numbers, and says so; of many it gives those below the pivot, the pivot as often as it is there, and
// those above.
func Split(items []int64) (less, equal, more []int64, sorted bool) {
	if len(items) < 2048 {
		slices.Sort(items)
		return nil, nil, nil, true
	}
	pivot := items[len(items)/2]
	less, more = make([]int64, 0, len(items)/2), make([]int64, 0, len(items)/2)
	for _, item := range items {
		switch {
		case item < pivot:
			less = append(less, item)
		case item > pivot:
			more = append(more, item)
		default:
			equal = append(equal, item)
		}
	}
	return
}

func f(x float64) float64 {
	return 1 / (x + 1) * math.Sqrt(1+math.Exp(math.Sqrt(2*x))) * math.Sin(x*x*x-1)
}

// Integrate adds up trapezoids of a width.
func Integrate(left, width float64, pieces int) (sum float64) {
	for i := 0; i < pieces; i++ {
		x := left + float64(i)*width
		sum += (f(x) + f(x+width)) / 2 * width
	}
	return
}

// AreaRight says whether the integral from 1 to 5 is so much.
func AreaRight(pieces int, area float64) bool {
	return math.Abs(area-Integrate(1, 4/float64(pieces), pieces)) < 1e-9
}

// Rate and FirstTerm are of a series of the logistic map.
func Rate(i int) float64      { return 3.46 + 0.0025*float64(i) }
func FirstTerm(i int) float64 { return 0.1 + 0.01*float64(i) }

// TermsRight says whether the n-th terms of ten series have a sum.
func TermsRight(n int, sum float64) bool {
	for i := 0; i < 10; i++ {
		x := FirstTerm(i)
		for k := 0; k < n; k++ {
			x = Rate(i) * x * (1 - x)
		}
		sum -= x
	}
	return math.Abs(sum) < 1e-9
}

// ItemsRight says whether all that 40 producers make in n rounds have a sum.
func ItemsRight(n int, sum uint32) bool {
	for item := range uint32(40) {
		item++
		for k := 0; k < n; k++ {
			item = Work(item, 25)
			sum -= item
		}
	}
	return sum == 0
}
