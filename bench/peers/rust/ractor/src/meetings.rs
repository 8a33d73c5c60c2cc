// SPDX-License-Identifier: MIT
//! Workloads of actors that meet around a common one.

use crate::{tell, Role, Stage, Told};
use contract::jobs::Forks;
use contract::{random, work};
use ractor::ActorRef;
use std::collections::HashMap;

enum Visit {
    Meet(ActorRef<Visit>, u32),
    Change(u32),
    Exit,
}

struct Creature {
    mall: ActorRef<Visit>,
    join: ActorRef<Told>,
    colour: u32,
    meetings: u64,
}

impl Role for Creature {
    type Message = Visit;
    fn started(&mut self, myself: &ActorRef<Visit>) {
        tell(&self.mall, Visit::Meet(myself.clone(), self.colour));
    }

    fn handle(&mut self, myself: &ActorRef<Visit>, visit: Visit) {
        match visit {
            Visit::Exit => return tell(&self.join, Told::Finished(self.meetings)),
            Visit::Change(colour) => self.colour = colour,
            Visit::Meet(other, colour) => {
                self.colour = if self.colour == colour { colour } else { 3 - self.colour - colour };
                tell(&other, Visit::Change(self.colour));
            }
        }
        self.meetings += 1;
        tell(&self.mall, Visit::Meet(myself.clone(), self.colour));
    }
}

struct Mall {
    left: u64,
    waiting: Option<ActorRef<Visit>>,
}

impl Role for Mall {
    type Message = Visit;
    fn handle(&mut self, _: &ActorRef<Visit>, visit: Visit) {
        let Visit::Meet(from, colour) = visit else { return };
        if self.left == 0 {
            tell(&from, Visit::Exit);
        } else if let Some(first) = self.waiting.take() {
            self.left -= 1;
            tell(&first, Visit::Meet(from, colour));
        } else {
            self.waiting = Some(from);
        }
    }
}

pub fn chameneos(stage: &mut Stage, n: u64) {
    let join = stage.join(100);
    let mall = stage.start(Mall { left: n, waiting: None });
    for i in 0..100 {
        stage.start(Creature { mall: mall.clone(), join: join.clone(), colour: i % 3, meetings: 0 });
    }
}

struct Lookup {
    put: bool,
    key: u64,
    from: ActorRef<u64>,
}

struct Dictionary {
    entries: HashMap<u64, u64>,
}

impl Role for Dictionary {
    type Message = Lookup;
    fn handle(&mut self, _: &ActorRef<Lookup>, lookup: Lookup) {
        if lookup.put {
            self.entries.insert(lookup.key, lookup.key);
        }
        tell(&lookup.from, self.entries.get(&lookup.key).copied().unwrap_or(0));
    }
}

struct Worker {
    dictionary: ActorRef<Lookup>,
    join: ActorRef<Told>,
    left: u64,
    right: u64,
    key: u64,
    seed: u32,
}

impl Role for Worker {
    type Message = u64;
    fn started(&mut self, myself: &ActorRef<u64>) {
        if self.left == 0 {
            return tell(&self.join, Told::Finished(self.right));
        }
        self.left -= 1;
        self.key = u64::from(random(&mut self.seed) % 4096 + 1);
        let put = random(&mut self.seed) % 100 < 10;
        tell(&self.dictionary, Lookup { put, key: self.key, from: myself.clone() });
    }

    fn handle(&mut self, myself: &ActorRef<u64>, value: u64) {
        self.right += u64::from(value == 0 || value == self.key);
        self.started(myself);
    }
}

pub fn dictionary(stage: &mut Stage, n: u64) {
    let join = stage.join(20);
    let dictionary = stage.start(Dictionary { entries: HashMap::with_capacity(4096) });
    for i in 0..20 {
        let (dictionary, join) = (dictionary.clone(), join.clone());
        stage.start(Worker { dictionary, join, left: n / 20, right: 0, key: 0, seed: i * 7919 + 1 });
    }
}

enum Plea {
    Hungry(ActorRef<bool>, usize),
    Eaten(usize),
}

struct Philosopher {
    arbitrator: ActorRef<Plea>,
    seat: usize,
    left: u64,
}

impl Role for Philosopher {
    type Message = bool;
    fn started(&mut self, myself: &ActorRef<bool>) {
        tell(&self.arbitrator, Plea::Hungry(myself.clone(), self.seat));
    }

    fn handle(&mut self, myself: &ActorRef<bool>, granted: bool) {
        if granted {
            tell(&self.arbitrator, Plea::Eaten(self.seat));
            self.left -= 1;
        }
        if self.left > 0 {
            self.started(myself);
        }
    }
}

struct Arbitrator {
    forks: Forks,
    meals: u64,
    wanted: u64,
    join: ActorRef<Told>,
}

impl Role for Arbitrator {
    type Message = Plea;
    fn handle(&mut self, _: &ActorRef<Plea>, plea: Plea) {
        match plea {
            Plea::Hungry(from, seat) => tell(&from, self.forks.take(seat)),
            Plea::Eaten(seat) => {
                self.forks.put_back(seat);
                self.meals += 1;
                if self.meals == self.wanted {
                    tell(&self.join, Told::Finished(self.meals));
                }
            }
        }
    }
}

pub fn philosophers(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let arbitrator = stage.start(Arbitrator { forks: Forks::default(), meals: 0, wanted: n / 20 * 20, join });
    for seat in 0..20 {
        stage.start(Philosopher { arbitrator: arbitrator.clone(), seat, left: n / 20 });
    }
}

struct Smoke(u32, ActorRef<Started>);

struct Started;

struct Smoker {
    smoke: u32,
}

impl Role for Smoker {
    type Message = Smoke;
    fn handle(&mut self, _: &ActorRef<Smoke>, Smoke(iterations, arbiter): Smoke) {
        tell(&arbiter, Started);
        self.smoke = work(self.smoke, iterations);
    }
}

struct Arbiter {
    smokers: Vec<ActorRef<Smoke>>,
    rounds: u64,
    wanted: u64,
    seed: u32,
    join: ActorRef<Told>,
}

impl Role for Arbiter {
    type Message = Started;
    fn handle(&mut self, myself: &ActorRef<Started>, _: Started) {
        if self.rounds == self.wanted {
            return tell(&self.join, Told::Finished(self.rounds));
        }
        self.rounds += 1;
        let (chosen, iterations) = contract::jobs::smoke(&mut self.seed);
        tell(&self.smokers[chosen], Smoke(iterations, myself.clone()));
    }
}

pub fn smokers(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let smokers = (0..200).map(|_| stage.start(Smoker { smoke: 0 })).collect();
    tell(&stage.start(Arbiter { smokers, rounds: 0, wanted: n, seed: 1, join }), Started);
}
