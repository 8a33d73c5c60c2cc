// SPDX-License-Identifier: MIT
//! Workloads of actors that keep others waiting.

use crate::{spawn, tell, Role, Stage, Told};
use contract::{first_term, random, rate, work};
use ractor::ActorRef;
use std::collections::VecDeque;
use std::sync::Arc;

struct Produce;

struct Producer {
    manager: ActorRef<Order>,
    left: u64,
    item: u32,
}

impl Role for Producer {
    type Message = Produce;
    fn handle(&mut self, myself: &ActorRef<Produce>, _: Produce) {
        if self.left == 0 {
            return tell(&self.manager, Order::Ended);
        }
        self.left -= 1;
        self.item = work(self.item, 25);
        tell(&self.manager, Order::Item(self.item, myself.clone()));
    }
}

struct Use(u32);

struct Consumer {
    manager: ActorRef<Order>,
    used: u32,
}

impl Role for Consumer {
    type Message = Use;
    fn handle(&mut self, myself: &ActorRef<Use>, item: Use) {
        self.used = self.used.wrapping_add(work(item.0, 25));
        tell(&self.manager, Order::Available(myself.clone()));
    }
}

enum Order {
    Begin(VecDeque<ActorRef<Use>>),
    Item(u32, ActorRef<Produce>),
    Available(ActorRef<Use>),
    Ended,
}

struct Manager {
    pending: VecDeque<u32>,
    consumers: VecDeque<ActorRef<Use>>,
    producers: VecDeque<ActorRef<Produce>>,
    ended: u32,
    sum: u32,
    join: ActorRef<Told>,
}

impl Manager {
    fn take(&mut self, item: u32, from: ActorRef<Produce>) {
        self.sum = self.sum.wrapping_add(item);
        match self.consumers.pop_front() {
            Some(consumer) => tell(&consumer, Use(item)),
            None => self.pending.push_back(item),
        }
        if self.pending.len() >= 10 {
            self.producers.push_back(from);
        } else {
            tell(&from, Produce);
        }
    }

    fn serve(&mut self, consumer: ActorRef<Use>) {
        let Some(item) = self.pending.pop_front() else { return self.consumers.push_back(consumer) };
        tell(&consumer, Use(item));
        if let Some(producer) = self.producers.pop_front() {
            tell(&producer, Produce);
        }
    }
}

impl Role for Manager {
    type Message = Order;
    fn handle(&mut self, _: &ActorRef<Order>, order: Order) {
        match order {
            Order::Begin(consumers) => self.consumers = consumers,
            Order::Item(item, from) => self.take(item, from),
            Order::Available(consumer) => self.serve(consumer),
            Order::Ended => self.ended += 1,
        }
        if self.ended == 40 && self.consumers.len() == 40 {
            tell(&self.join, Told::Finished(u64::from(self.sum)));
        }
    }
}

pub fn bounded_buffer(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let (pending, consumers, producers) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
    let manager = stage.start(Manager { pending, consumers, producers, ended: 0, sum: 0, join });
    let consumer = |_| stage.start(Consumer { manager: manager.clone(), used: 0 });
    tell(&manager, Order::Begin((0..40).map(consumer).collect()));
    for item in 1..=40 {
        tell(&stage.start(Producer { manager: manager.clone(), left: n / 40, item }), Produce);
    }
}

enum Word {
    Full,
    Wait,
    Begin,
    Done,
}

struct Customer {
    factory: ActorRef<Make>,
}

impl Role for Customer {
    type Message = Word;
    fn handle(&mut self, myself: &ActorRef<Word>, word: Word) {
        match word {
            Word::Full => tell(&self.factory, Make::Returned(myself.clone())),
            Word::Wait | Word::Begin => {}
            Word::Done => {
                tell(&self.factory, Make::Done);
                myself.stop(None);
            }
        }
    }
}

enum Door {
    Enter(ActorRef<Word>),
    Next,
}

struct Room {
    seats: VecDeque<ActorRef<Word>>,
    busy: bool,
    barber: ActorRef<Cut>,
}

impl Role for Room {
    type Message = Door;
    fn handle(&mut self, myself: &ActorRef<Door>, door: Door) {
        match door {
            Door::Enter(customer) if !self.busy => {
                self.busy = true;
                tell(&self.barber, Cut(customer, myself.clone()));
            }
            Door::Enter(customer) if self.seats.len() == 1000 => tell(&customer, Word::Full),
            Door::Enter(customer) => {
                tell(&customer, Word::Wait);
                self.seats.push_back(customer);
            }
            Door::Next => {
                let customer = self.seats.pop_front();
                self.busy = customer.is_some();
                if let Some(customer) = customer {
                    tell(&self.barber, Cut(customer, myself.clone()));
                }
            }
        }
    }
}

struct Cut(ActorRef<Word>, ActorRef<Door>);

struct Barber {
    seed: u32,
}

impl Role for Barber {
    type Message = Cut;
    fn handle(&mut self, _: &ActorRef<Cut>, Cut(customer, room): Cut) {
        tell(&customer, Word::Begin);
        self.seed = work(self.seed, 50);
        tell(&customer, Word::Done);
        tell(&room, Door::Next);
    }
}

enum Make {
    Next,
    Returned(ActorRef<Word>),
    Done,
}

struct Factory {
    room: ActorRef<Door>,
    left: u64,
    served: u64,
    wanted: u64,
    seed: u32,
    join: ActorRef<Told>,
}

impl Role for Factory {
    type Message = Make;
    fn handle(&mut self, myself: &ActorRef<Make>, make: Make) {
        match make {
            Make::Next => {
                self.seed = work(self.seed, 50);
                tell(&self.room, Door::Enter(spawn(Customer { factory: myself.clone() })));
                self.left -= 1;
                if self.left > 0 {
                    tell(myself, Make::Next);
                }
            }
            Make::Returned(customer) => tell(&self.room, Door::Enter(customer)),
            Make::Done => {
                self.served += 1;
                if self.served == self.wanted {
                    tell(&self.join, Told::Finished(self.served));
                }
            }
        }
    }
}

pub fn sleeping_barber(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let barber = stage.start(Barber { seed: 0 });
    let room = stage.start(Room { seats: VecDeque::with_capacity(1000), busy: false, barber });
    tell(&stage.start(Factory { room, left: n, served: 0, wanted: n, seed: 0, join }), Make::Next);
}

struct Compute(f64, ActorRef<Want>);

struct Computer {
    rate: f64,
}

impl Role for Computer {
    type Message = Compute;
    fn handle(&mut self, _: &ActorRef<Compute>, Compute(x, from): Compute) {
        tell(&from, Want::Term(self.rate * x * (1.0 - x)));
    }
}

enum Want {
    Next,
    Term(f64),
    Get,
}

struct Series {
    computer: ActorRef<Compute>,
    term: f64,
    wanted: u64,
    asked: bool,
    join: ActorRef<Told>,
}

impl Role for Series {
    type Message = Want;
    fn handle(&mut self, myself: &ActorRef<Want>, want: Want) {
        match want {
            Want::Next => {
                self.wanted += 1;
                if self.wanted > 1 {
                    return;
                }
            }
            Want::Term(term) => {
                self.term = term;
                self.wanted -= 1;
            }
            Want::Get => {
                self.asked = true;
                if self.wanted > 0 {
                    return;
                }
            }
        }
        if self.wanted > 0 {
            tell(&self.computer, Compute(self.term, myself.clone()));
        } else if self.asked {
            tell(&self.join, Told::Real(self.term));
        }
    }
}

pub fn logistic_map(stage: &mut Stage, n: u64) {
    let join = stage.join(10);
    let mut all = vec![];
    for i in 0..10 {
        let computer = stage.start(Computer { rate: rate(i) });
        let series = Series { computer, term: first_term(i), wanted: 0, asked: false, join: join.clone() };
        all.push(stage.start(series));
    }
    for _ in 0..n / 10 {
        all.iter().for_each(|series| tell(series, Want::Next));
    }
    all.iter().for_each(|series| tell(series, Want::Get));
}

type Accounts = Arc<[ActorRef<Money>]>;

struct Transfer {
    to: usize,
    amount: i64,
}

enum Money {
    All(Accounts),
    Transfer(Transfer),
    Deposit(i64, ActorRef<Money>),
    Deposited,
    Close,
}

struct Account {
    all: Accounts,
    teller: ActorRef<Report>,
    balance: i64,
    waiting: bool,
    kept: VecDeque<Transfer>,
}

impl Account {
    fn begin(&mut self, transfer: Transfer, myself: &ActorRef<Money>) {
        self.waiting = true;
        self.balance -= transfer.amount;
        tell(&self.all[transfer.to], Money::Deposit(transfer.amount, myself.clone()));
    }
}

impl Role for Account {
    type Message = Money;
    fn handle(&mut self, myself: &ActorRef<Money>, money: Money) {
        match money {
            Money::All(all) => self.all = all,
            Money::Transfer(transfer) if self.waiting => self.kept.push_back(transfer),
            Money::Transfer(transfer) => self.begin(transfer, myself),
            Money::Deposit(amount, from) => {
                self.balance += amount;
                tell(&from, Money::Deposited);
            }
            Money::Deposited => {
                tell(&self.teller, Report::Done);
                self.waiting = false;
                if let Some(transfer) = self.kept.pop_front() {
                    self.begin(transfer, myself);
                }
            }
            Money::Close => tell(&self.teller, Report::Balance(self.balance)),
        }
    }
}

enum Report {
    All(Accounts),
    Done,
    Balance(i64),
}

struct Teller {
    all: Accounts,
    missing: u64,
    wanted: u64,
    open: usize,
    total: i64,
    join: ActorRef<Told>,
}

impl Teller {
    fn begin(&mut self) {
        let mut seed = 1;
        for _ in 0..self.wanted {
            let from = random(&mut seed) as usize % 999;
            let to = from + 1 + random(&mut seed) as usize % (999 - from);
            let transfer = Transfer { to, amount: i64::from(random(&mut seed) % 1000) };
            tell(&self.all[from], Money::Transfer(transfer));
        }
    }
}

impl Role for Teller {
    type Message = Report;
    fn handle(&mut self, _: &ActorRef<Report>, report: Report) {
        match report {
            Report::All(all) => {
                self.all = all;
                self.begin();
            }
            Report::Done => {
                self.missing -= 1;
                if self.missing == 0 {
                    self.all.iter().for_each(|account| tell(account, Money::Close));
                }
            }
            Report::Balance(balance) => {
                self.total += balance;
                self.open -= 1;
                if self.open == 0 {
                    tell(&self.join, Told::Finished(if self.total == 0 { self.wanted } else { 0 }));
                }
            }
        }
    }
}

pub fn bank(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let none: Accounts = Arc::new([]);
    let teller = stage.start(Teller { all: none.clone(), missing: n, wanted: n, open: 1000, total: 0, join });
    let account = |_| {
        let (all, teller, kept) = (none.clone(), teller.clone(), VecDeque::new());
        stage.start(Account { all, teller, balance: 0, waiting: false, kept })
    };
    let all: Accounts = (0..1000).map(account).collect();
    all.iter().for_each(|account| tell(account, Money::All(all.clone())));
    tell(&teller, Report::All(all));
}
