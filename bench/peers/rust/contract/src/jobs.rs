// SPDX-License-Identifier: MIT
//! What workers compute.

use crate::random;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// What a master deals to 20 workers, which give parts of it back: n queens, matmul, A*.
pub trait Job: Clone + Send + Unpin + 'static {
    type Item: Send + 'static;
    /// Does an item, or gives parts of it back. Returns: what the master adds up.
    fn work(&mut self, item: Self::Item, give: impl FnMut(Self::Item)) -> u64;
}

#[derive(Clone, Copy, Default)]
pub struct Board {
    columns: u32,
    left: u32,
    right: u32,
    queens: u32,
}

#[derive(Clone)]
pub struct Queens {
    all: u32,
}

impl Queens {
    pub fn new(n: u64) -> Self {
        Queens { all: (1 << n) - 1 }
    }

    fn count(&self, columns: u32, left: u32, right: u32) -> u64 {
        if columns == self.all {
            return 1;
        }
        let (mut free, mut found) = (self.all & !(columns | left | right), 0);
        while free != 0 {
            let bit = free & free.wrapping_neg();
            found += self.count(columns | bit, (left | bit) << 1, (right | bit) >> 1);
            free ^= bit;
        }
        found
    }
}

impl Job for Queens {
    type Item = Board;
    fn work(&mut self, board: Board, mut give: impl FnMut(Board)) -> u64 {
        let Board { columns, left, right, queens } = board;
        if queens >= 4 {
            return self.count(columns, left, right);
        }
        let mut free = self.all & !(columns | left | right);
        while free != 0 {
            let bit = free & free.wrapping_neg();
            let (columns, left, right) = (columns | bit, (left | bit) << 1, (right | bit) >> 1);
            give(Board { columns, left, right, queens: queens + 1 });
            free ^= bit;
        }
        0
    }
}

/// Two matrices, and their product as the bits of doubles.
pub struct Matrices {
    n: usize,
    a: Vec<f64>,
    b: Vec<f64>,
    c: Vec<AtomicU64>,
}

/// Made once, kept from run to run.
pub fn matrices(n: usize) -> &'static Matrices {
    static MATRICES: OnceLock<Matrices> = OnceLock::new();
    MATRICES.get_or_init(|| Matrices {
        n,
        a: (0..n * n).map(|i| ((i / n + i % n) % 7) as f64).collect(),
        b: (0..n * n).map(|i| ((i / n * 3 + i % n) % 5) as f64).collect(),
        c: (0..n * n).map(|_| AtomicU64::new(0)).collect(),
    })
}

impl Matrices {
    /// Every seventh row, by its definition; clears the result for the next run.
    pub fn right(&self) -> bool {
        let n = self.n;
        let expected = |i: usize, j: usize| (0..n).map(|k| self.a[i * n + k] * self.b[k * n + j]).sum::<f64>();
        let same = |i: usize, j: usize| f64::from_bits(self.c[i * n + j].load(Relaxed)) == expected(i, j);
        let right = (0..n).step_by(7).all(|i| (0..n).all(|j| same(i, j)));
        self.c.iter().for_each(|c| c.store(0, Relaxed));
        right
    }

    fn multiply(&self, block: Block) {
        let n = self.n;
        for i in block.row..block.row + block.size {
            let mut sums = [0.0; SMALL];
            let sums = &mut sums[..block.size];
            for k in 0..n {
                let (factor, from) = (self.a[i * n + k], &self.b[k * n + block.column..][..sums.len()]);
                for (sum, b) in sums.iter_mut().zip(from) {
                    *sum += factor * b;
                }
            }
            for (to, sum) in self.c[i * n + block.column..].iter().zip(sums) {
                to.store(sum.to_bits(), Relaxed);
            }
        }
    }
}

const SMALL: usize = 32;

#[derive(Clone, Copy)]
pub struct Block {
    row: usize,
    column: usize,
    size: usize,
}

#[derive(Clone)]
pub struct Product;

impl Product {
    pub fn whole(n: u64) -> Block {
        Block { row: 0, column: 0, size: n as usize }
    }
}

impl Job for Product {
    type Item = Block;
    fn work(&mut self, block: Block, mut give: impl FnMut(Block)) -> u64 {
        if block.size <= SMALL {
            matrices(0).multiply(block);
            return 0;
        }
        let half = block.size / 2;
        for i in 0..4 {
            give(Block { row: block.row + i / 2 * half, column: block.column + i % 2 * half, size: half });
        }
        0
    }
}

#[derive(Clone)]
pub struct Search {
    side: u32,
    seen: Arc<[AtomicBool]>,
    open: BinaryHeap<Reverse<(u32, u32)>>,
}

impl Search {
    pub fn new(n: u64) -> Self {
        let seen = (0..n * n * n).map(|i| AtomicBool::new(i == 0)).collect();
        Search { side: n as u32, seen, open: BinaryHeap::new() }
    }

    fn open(&mut self, node: u32) {
        let side = self.side;
        let distance = 3 * (side - 1) - node % side - node / side % side - node / side / side;
        self.open.push(Reverse((distance, node)));
    }

    /// Opens a node unless somebody has it.
    fn take(&mut self, node: u32) {
        if !self.seen[node as usize].swap(true, Relaxed) {
            self.open(node);
        }
    }
}

impl Job for Search {
    type Item = u32;
    fn work(&mut self, node: u32, mut give: impl FnMut(u32)) -> u64 {
        let mut opened = 0;
        self.open(node);
        while opened < 1024 {
            let Some(Reverse((_, node))) = self.open.pop() else { break };
            for step in [1, self.side, self.side * self.side] {
                let place = node / step % self.side;
                if place > 0 {
                    self.take(node - step);
                }
                if place + 1 < self.side {
                    self.take(node + step);
                }
            }
            opened += 1;
        }
        while let Some(Reverse((_, node))) = self.open.pop() {
            give(node);
        }
        opened
    }
}

fn f(x: f64) -> f64 {
    1.0 / (x + 1.0) * (1.0 + (2.0 * x).sqrt().exp()).sqrt() * (x * x * x - 1.0).sin()
}

/// By trapezoids of a width.
pub fn integrate(left: f64, width: f64, pieces: u64) -> f64 {
    let area = |i| {
        let x = left + i as f64 * width;
        (f(x) + f(x + width)) / 2.0 * width
    };
    (0..pieces).map(area).sum()
}

/// What the trapezoids are dealt in: left, width, pieces.
pub fn ranges(n: u64) -> impl Iterator<Item = (f64, f64, u64)> {
    let pieces = n / 100;
    let width = 4.0 / (pieces * 100) as f64;
    (0..100).map(move |i| (1.0 + (i * pieces) as f64 * width, width, pieces))
}

/// What a filter of the sieve holds: up to 1,000 primes.
#[derive(Default)]
pub struct Primes(Vec<u32>);

impl Primes {
    /// Returns: must the candidate go to the next filter?
    pub fn pass(&mut self, candidate: u32) -> bool {
        if self.0.iter().any(|prime| candidate % prime == 0) {
            return false;
        }
        if self.0.len() < 1000 {
            self.0.push(candidate);
            return false;
        }
        true
    }

    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }
}

/// A stage of radix sort: those whose bit is set come after the others.
pub struct Sorter {
    bit: u32,
    missing: u64,
    kept: Vec<u32>,
}

impl Sorter {
    pub fn new(bit: u32, n: u64) -> Self {
        Sorter { bit, missing: n, kept: Vec::with_capacity(n as usize) }
    }

    pub fn sort(&mut self, number: u32, mut pass: impl FnMut(u32)) {
        if number >> self.bit & 1 != 0 {
            self.kept.push(number);
        } else {
            pass(number);
        }
        self.missing -= 1;
        if self.missing == 0 {
            self.kept.iter().for_each(|&number| pass(number));
        }
    }
}

/// Of what comes out of the sort.
pub struct Sum {
    missing: u64,
    last: u32,
    sorted: bool,
    sum: u64,
}

impl Sum {
    pub fn new(n: u64) -> Self {
        Sum { missing: n, last: 0, sorted: true, sum: 0 }
    }

    /// Returns: the sum after the last; 0 if anything was out of order.
    pub fn add(&mut self, number: u32) -> Option<u64> {
        self.sorted &= number >= self.last;
        self.last = number;
        self.sum += u64::from(number);
        self.missing -= 1;
        (self.missing == 0).then_some(if self.sorted { self.sum } else { 0 })
    }
}

/// Sorts few numbers; of many gives those below the pivot, the pivot as often as it is there, and those above.
pub fn split(mut items: Vec<i64>) -> Result<Vec<i64>, (Vec<i64>, Vec<i64>, Vec<i64>)> {
    if items.len() < 2048 {
        items.sort_unstable();
        return Ok(items);
    }
    let pivot = items[items.len() / 2];
    let (mut less, mut equal, mut more) =
        (Vec::with_capacity(items.len() / 2), vec![], Vec::with_capacity(items.len() / 2));
    for item in items {
        match item.cmp(&pivot) {
            std::cmp::Ordering::Less => less.push(item),
            std::cmp::Ordering::Equal => equal.push(item),
            std::cmp::Ordering::Greater => more.push(item),
        }
    }
    Err((less, equal, more))
}

/// Those below a pivot, the pivots, those above.
#[derive(Default)]
pub struct Parts {
    sides: [Vec<i64>; 2],
    pub equal: Vec<i64>,
    came: u32,
}

impl Parts {
    /// Returns: all of them once both sides are there.
    pub fn put(&mut self, side: usize, sorted: Vec<i64>) -> Option<Vec<i64>> {
        self.sides[side] = sorted;
        self.came += 1;
        (self.came == 2).then(|| [&self.sides[0][..], &self.equal, &self.sides[1]].concat())
    }
}

/// On the philosophers' table: one between two seats.
#[derive(Default)]
pub struct Forks([bool; 20]);

impl Forks {
    /// Returns: were both of a seat free?
    pub fn take(&mut self, seat: usize) -> bool {
        let right = (seat + 1) % 20;
        let free = !self.0[seat] && !self.0[right];
        if free {
            self.lay(seat, true);
        }
        free
    }

    pub fn put_back(&mut self, seat: usize) {
        self.lay(seat, false);
    }

    fn lay(&mut self, seat: usize, used: bool) {
        self.0[seat] = used;
        self.0[(seat + 1) % 20] = used;
    }
}

/// The arbiter's choice of a smoker, and how long it smokes.
pub fn smoke(seed: &mut u32) -> (usize, u32) {
    (random(seed) as usize % 200, random(seed) % 50)
}
