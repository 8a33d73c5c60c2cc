// SPDX-License-Identifier: MIT
//! Workloads of actors that keep others waiting.

use crate::{messages, stoppable, Finished, Join, Real, Stage};
use actix::prelude::*;
use contract::{first_term, random, rate, work};
use std::collections::VecDeque;
use std::sync::Arc;

messages! {
    struct Produce;
    struct Item(u32, Addr<Producer>);
    struct Use(u32);
    struct Available(Addr<Consumer>);
    struct Ended;
    struct Next;
    struct Enter(Addr<Customer>);
    struct Returned(Addr<Customer>);
    struct Cut(Addr<Customer>, Addr<Room>);
    struct Full;
    struct Wait;
    struct Begin;
    struct Done;
    struct Compute(f64, Addr<Series>);
    struct Term(f64);
    struct Get;
    struct All(Arc<[Addr<Account>]>);
    #[derive(Clone, Copy)]
    struct Transfer { to: usize, amount: i64 }
    struct Deposit(i64, Addr<Account>);
    struct Deposited;
    struct Close;
    struct Balance(i64);
}

struct Producer {
    manager: Addr<Manager>,
    left: u64,
    item: u32,
}

impl Handler<Produce> for Producer {
    type Result = ();
    fn handle(&mut self, _: Produce, context: &mut Context<Self>) {
        if self.left == 0 {
            self.manager.do_send(Ended);
            return;
        }
        self.left -= 1;
        self.item = work(self.item, 25);
        self.manager.do_send(Item(self.item, context.address()));
    }
}

struct Consumer {
    manager: Addr<Manager>,
    used: u32,
}

impl Handler<Use> for Consumer {
    type Result = ();
    fn handle(&mut self, item: Use, context: &mut Context<Self>) {
        self.used = self.used.wrapping_add(work(item.0, 25));
        self.manager.do_send(Available(context.address()));
    }
}

struct Manager {
    pending: VecDeque<u32>,
    consumers: VecDeque<Addr<Consumer>>,
    producers: VecDeque<Addr<Producer>>,
    ended: u32,
    sum: u32,
    join: Addr<Join>,
}

impl Manager {
    fn end(&self) {
        if self.ended == 40 && self.consumers.len() == 40 {
            self.join.do_send(Finished(u64::from(self.sum)));
        }
    }
}

impl Handler<Item> for Manager {
    type Result = ();
    fn handle(&mut self, Item(item, from): Item, _: &mut Context<Self>) {
        self.sum = self.sum.wrapping_add(item);
        match self.consumers.pop_front() {
            Some(consumer) => consumer.do_send(Use(item)),
            None => self.pending.push_back(item),
        }
        if self.pending.len() >= 10 {
            self.producers.push_back(from);
        } else {
            from.do_send(Produce);
        }
    }
}

impl Handler<Available> for Manager {
    type Result = ();
    fn handle(&mut self, Available(consumer): Available, _: &mut Context<Self>) {
        let Some(item) = self.pending.pop_front() else {
            self.consumers.push_back(consumer);
            return self.end();
        };
        consumer.do_send(Use(item));
        if let Some(producer) = self.producers.pop_front() {
            producer.do_send(Produce);
        }
    }
}

impl Handler<Ended> for Manager {
    type Result = ();
    fn handle(&mut self, _: Ended, _: &mut Context<Self>) {
        self.ended += 1;
        self.end();
    }
}

pub fn bounded_buffer(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let manager = Manager::create(|context| {
        let consumer = |_| stage.start(Consumer { manager: context.address(), used: 0 });
        let consumers = (0..40).map(consumer).collect();
        Manager { pending: VecDeque::new(), consumers, producers: VecDeque::new(), ended: 0, sum: 0, join }
    });
    stage.keep(manager.clone());
    for i in 1..=40 {
        stage.start(Producer { manager: manager.clone(), left: n / 40, item: i }).do_send(Produce);
    }
}

struct Customer {
    factory: Addr<Factory>,
}

impl Handler<Full> for Customer {
    type Result = ();
    fn handle(&mut self, _: Full, context: &mut Context<Self>) {
        self.factory.do_send(Returned(context.address()));
    }
}

impl Handler<Wait> for Customer {
    type Result = ();
    fn handle(&mut self, _: Wait, _: &mut Context<Self>) {}
}

impl Handler<Begin> for Customer {
    type Result = ();
    fn handle(&mut self, _: Begin, _: &mut Context<Self>) {}
}

impl Handler<Done> for Customer {
    type Result = ();
    fn handle(&mut self, _: Done, context: &mut Context<Self>) {
        self.factory.do_send(Done);
        context.stop();
    }
}

struct Room {
    seats: VecDeque<Addr<Customer>>,
    busy: bool,
    barber: Addr<Barber>,
}

impl Handler<Enter> for Room {
    type Result = ();
    fn handle(&mut self, Enter(customer): Enter, context: &mut Context<Self>) {
        if !self.busy {
            self.busy = true;
            self.barber.do_send(Cut(customer, context.address()));
        } else if self.seats.len() == 1000 {
            customer.do_send(Full);
        } else {
            customer.do_send(Wait);
            self.seats.push_back(customer);
        }
    }
}

impl Handler<Next> for Room {
    type Result = ();
    fn handle(&mut self, _: Next, context: &mut Context<Self>) {
        let customer = self.seats.pop_front();
        self.busy = customer.is_some();
        if let Some(customer) = customer {
            self.barber.do_send(Cut(customer, context.address()));
        }
    }
}

struct Barber {
    seed: u32,
}

impl Handler<Cut> for Barber {
    type Result = ();
    fn handle(&mut self, Cut(customer, room): Cut, _: &mut Context<Self>) {
        customer.do_send(Begin);
        self.seed = work(self.seed, 50);
        customer.do_send(Done);
        room.do_send(Next);
    }
}

struct Factory {
    room: Addr<Room>,
    left: u64,
    served: u64,
    wanted: u64,
    seed: u32,
    join: Addr<Join>,
}

impl Handler<Next> for Factory {
    type Result = ();
    fn handle(&mut self, _: Next, context: &mut Context<Self>) {
        self.seed = work(self.seed, 50);
        self.room.do_send(Enter(Customer { factory: context.address() }.start()));
        self.left -= 1;
        if self.left > 0 {
            context.address().do_send(Next);
        }
    }
}

impl Handler<Returned> for Factory {
    type Result = ();
    fn handle(&mut self, Returned(customer): Returned, _: &mut Context<Self>) {
        self.room.do_send(Enter(customer));
    }
}

impl Handler<Done> for Factory {
    type Result = ();
    fn handle(&mut self, _: Done, _: &mut Context<Self>) {
        self.served += 1;
        if self.served == self.wanted {
            self.join.do_send(Finished(self.served));
        }
    }
}

pub fn sleeping_barber(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let barber = stage.start(Barber { seed: 0 });
    let room = stage.start(Room { seats: VecDeque::with_capacity(1000), busy: false, barber });
    stage.start(Factory { room, left: n, served: 0, wanted: n, seed: 0, join }).do_send(Next);
}

struct Computer {
    rate: f64,
}

impl Handler<Compute> for Computer {
    type Result = ();
    fn handle(&mut self, Compute(x, from): Compute, _: &mut Context<Self>) {
        from.do_send(Term(self.rate * x * (1.0 - x)));
    }
}

struct Series {
    computer: Addr<Computer>,
    term: f64,
    wanted: u64,
    asked: bool,
    join: Addr<Join>,
}

impl Series {
    fn go_on(&mut self, context: &mut Context<Self>) {
        if self.wanted > 0 {
            self.computer.do_send(Compute(self.term, context.address()));
        } else if self.asked {
            self.join.do_send(Real(self.term));
        }
    }
}

impl Handler<Next> for Series {
    type Result = ();
    fn handle(&mut self, _: Next, context: &mut Context<Self>) {
        self.wanted += 1;
        if self.wanted == 1 {
            self.go_on(context);
        }
    }
}

impl Handler<Term> for Series {
    type Result = ();
    fn handle(&mut self, term: Term, context: &mut Context<Self>) {
        self.term = term.0;
        self.wanted -= 1;
        self.go_on(context);
    }
}

impl Handler<Get> for Series {
    type Result = ();
    fn handle(&mut self, _: Get, context: &mut Context<Self>) {
        self.asked = true;
        if self.wanted == 0 {
            self.go_on(context);
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
        all.iter().for_each(|series| series.do_send(Next));
    }
    all.iter().for_each(|series| series.do_send(Get));
}

struct Account {
    all: Arc<[Addr<Account>]>,
    teller: Addr<Teller>,
    balance: i64,
    waiting: bool,
    kept: VecDeque<Transfer>,
}

impl Account {
    fn begin(&mut self, transfer: Transfer, context: &mut Context<Self>) {
        self.waiting = true;
        self.balance -= transfer.amount;
        self.all[transfer.to].do_send(Deposit(transfer.amount, context.address()));
    }
}

impl Handler<All> for Account {
    type Result = ();
    fn handle(&mut self, all: All, _: &mut Context<Self>) {
        self.all = all.0;
    }
}

impl Handler<Transfer> for Account {
    type Result = ();
    fn handle(&mut self, transfer: Transfer, context: &mut Context<Self>) {
        if self.waiting {
            self.kept.push_back(transfer);
        } else {
            self.begin(transfer, context);
        }
    }
}

impl Handler<Deposit> for Account {
    type Result = ();
    fn handle(&mut self, deposit: Deposit, _: &mut Context<Self>) {
        self.balance += deposit.0;
        deposit.1.do_send(Deposited);
    }
}

impl Handler<Deposited> for Account {
    type Result = ();
    fn handle(&mut self, _: Deposited, context: &mut Context<Self>) {
        self.teller.do_send(Done);
        self.waiting = false;
        if let Some(transfer) = self.kept.pop_front() {
            self.begin(transfer, context);
        }
    }
}

impl Handler<Close> for Account {
    type Result = ();
    fn handle(&mut self, _: Close, _: &mut Context<Self>) {
        self.teller.do_send(Balance(self.balance));
    }
}

struct Teller {
    all: Arc<[Addr<Account>]>,
    missing: u64,
    wanted: u64,
    open: usize,
    total: i64,
    join: Addr<Join>,
}

impl Handler<All> for Teller {
    type Result = ();
    fn handle(&mut self, all: All, _: &mut Context<Self>) {
        self.all = all.0;
        self.open = self.all.len();
        let mut seed = 1;
        for _ in 0..self.wanted {
            let from = random(&mut seed) as usize % 999;
            let to = from + 1 + random(&mut seed) as usize % (999 - from);
            self.all[from].do_send(Transfer { to, amount: i64::from(random(&mut seed) % 1000) });
        }
    }
}

impl Handler<Done> for Teller {
    type Result = ();
    fn handle(&mut self, _: Done, _: &mut Context<Self>) {
        self.missing -= 1;
        if self.missing == 0 {
            self.all.iter().for_each(|account| account.do_send(Close));
        }
    }
}

impl Handler<Balance> for Teller {
    type Result = ();
    fn handle(&mut self, balance: Balance, _: &mut Context<Self>) {
        self.total += balance.0;
        self.open -= 1;
        if self.open == 0 {
            self.join.do_send(Finished(if self.total == 0 { self.wanted } else { 0 }));
        }
    }
}

pub fn bank(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let none: Arc<[Addr<Account>]> = Arc::new([]);
    let teller = stage.start(Teller { all: none.clone(), missing: n, wanted: n, open: 0, total: 0, join });
    let account = |_| {
        let (all, teller, kept) = (none.clone(), teller.clone(), VecDeque::new());
        stage.start(Account { all, teller, balance: 0, waiting: false, kept })
    };
    let all: Arc<[_]> = (0..1000).map(account).collect();
    all.iter().for_each(|account| account.do_send(All(all.clone())));
    teller.do_send(All(all));
}

stoppable!(Producer, Consumer, Manager, Customer, Room, Barber, Factory, Computer, Series, Account, Teller);
