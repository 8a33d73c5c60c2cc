// SPDX-License-Identifier: MIT
//! The six workloads of the core, and what an idle actor needs.

use crate::{spawn, tell, Role, Stage, Told};
use contract::{random, BURST};
use ractor::ActorRef;

enum Ball {
    Meet(ActorRef<Ball>),
    Left(u64),
}

/// Ping and pong alike.
struct Player {
    other: Option<ActorRef<Ball>>,
    join: ActorRef<Told>,
    rallies: u64,
}

impl Role for Player {
    type Message = Ball;
    fn handle(&mut self, _: &ActorRef<Ball>, ball: Ball) {
        match ball {
            Ball::Meet(other) => self.other = Some(other),
            Ball::Left(left) => {
                self.rallies += 1;
                if left > 0 {
                    tell(self.other.as_ref().unwrap(), Ball::Left(left - 1));
                } else {
                    tell(&self.join, Told::Finished(self.rallies));
                }
            }
        }
    }
}

pub fn ping_pong(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let ping = stage.start(Player { other: None, join: join.clone(), rallies: 0 });
    let pong = stage.start(Player { other: Some(ping.clone()), join, rallies: 0 });
    tell(&ping, Ball::Meet(pong.clone()));
    tell(&pong, Ball::Left(n / 2 * 2 - 1));
}

struct Count(#[allow(dead_code)] u64);

struct Counter {
    counted: u64,
    wanted: u64,
    join: ActorRef<Told>,
}

impl Role for Counter {
    type Message = Count;
    fn handle(&mut self, _: &ActorRef<Count>, _: Count) {
        self.counted += 1;
        if self.counted == self.wanted {
            tell(&self.join, Told::Finished(self.counted));
        }
    }
}

struct More(u64);

struct Producer {
    to: Vec<ActorRef<Count>>,
}

impl Role for Producer {
    type Message = More;
    fn handle(&mut self, myself: &ActorRef<More>, more: More) {
        let burst = more.0.min(BURST);
        for i in 0..burst {
            tell(&self.to[((more.0 - i) % self.to.len() as u64) as usize], Count(i));
        }
        if more.0 > burst {
            tell(myself, More(more.0 - burst));
        }
    }
}

pub fn counting(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let counter = stage.start(Counter { counted: 0, wanted: n, join });
    tell(&stage.start(Producer { to: vec![counter] }), More(n));
}

pub fn fork_join(stage: &mut Stage, n: u64) {
    let join = stage.join(60);
    let to = (0..60).map(|_| stage.start(Counter { counted: 0, wanted: n / 60, join: join.clone() })).collect();
    tell(&stage.start(Producer { to }), More(n / 60 * 60));
}

enum Token {
    Next(ActorRef<Token>),
    Left(u64),
}

struct Member {
    index: u64,
    next: Option<ActorRef<Token>>,
    join: ActorRef<Told>,
}

impl Role for Member {
    type Message = Token;
    fn handle(&mut self, _: &ActorRef<Token>, token: Token) {
        match token {
            Token::Next(next) => self.next = Some(next),
            Token::Left(0) => tell(&self.join, Told::Finished(self.index)),
            Token::Left(left) => tell(self.next.as_ref().unwrap(), Token::Left(left - 1)),
        }
    }
}

pub fn ring(stage: &mut Stage, n: u64) {
    let join = stage.join(1);
    let members: Vec<_> = (0..100).map(|index| stage.start(Member { index, next: None, join: join.clone() })).collect();
    for i in 0..100 {
        tell(&members[i], Token::Next(members[(i + 1) % 100].clone()));
    }
    tell(&members[0], Token::Left(n - 1));
}

enum Talk {
    All(Vec<ActorRef<Talk>>),
    Ask(ActorRef<Talk>),
    Answer,
}

struct Big {
    bigs: Vec<ActorRef<Talk>>,
    join: ActorRef<Told>,
    left: u64,
    answers: u64,
    seed: u32,
}

impl Big {
    fn next(&mut self, myself: &ActorRef<Talk>) {
        if self.left == 0 {
            return tell(&self.join, Told::Finished(self.answers));
        }
        self.left -= 1;
        tell(&self.bigs[random(&mut self.seed) as usize % 64], Talk::Ask(myself.clone()));
    }
}

impl Role for Big {
    type Message = Talk;
    fn handle(&mut self, myself: &ActorRef<Talk>, talk: Talk) {
        match talk {
            Talk::Ask(from) => return tell(&from, Talk::Answer),
            Talk::Answer => self.answers += 1,
            Talk::All(bigs) => self.bigs = bigs,
        }
        self.next(myself);
    }
}

pub fn big(stage: &mut Stage, n: u64) {
    let join = stage.join(64);
    let big = |i: u32| Big { bigs: vec![], join: join.clone(), left: n / 128, answers: 0, seed: i * 7919 + 1 };
    let bigs: Vec<_> = (0..64).map(|i| stage.start(big(i))).collect();
    for actor in &bigs {
        tell(actor, Talk::All(bigs.clone()));
    }
}

struct Work(ActorRef<Count>);

/// Answers, and then ends or stays.
struct Leaf {
    stays: bool,
}

impl Role for Leaf {
    type Message = Work;
    fn handle(&mut self, myself: &ActorRef<Work>, work: Work) {
        tell(&work.0, Count(1));
        if !self.stays {
            myself.stop(None);
        }
    }
}

struct Fork {
    counter: ActorRef<Count>,
    stay: bool,
}

impl Role for Fork {
    type Message = More;
    fn handle(&mut self, myself: &ActorRef<More>, more: More) {
        let burst = more.0.min(BURST);
        for _ in 0..burst {
            tell(&spawn(Leaf { stays: self.stay }), Work(self.counter.clone()));
        }
        if more.0 > burst {
            tell(myself, More(more.0 - burst));
        }
    }
}

pub fn fork_join_create(stage: &mut Stage, n: u64) {
    create(stage, n, false);
}

pub fn idle(stage: &mut Stage, n: u64) {
    create(stage, n, true);
}

fn create(stage: &mut Stage, n: u64, stay: bool) {
    let join = stage.join(1);
    let counter = stage.start(Counter { counted: 0, wanted: n, join });
    tell(&stage.start(Fork { counter, stay }), More(n));
}
