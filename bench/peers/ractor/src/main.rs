// SPDX-License-Identifier: MIT
//! The core workloads on ractor, on Tokio's current-thread runtime for one thread and its multi-thread one for more.

mod contract;

use contract::{random, Units, BURST};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use std::time::Instant;
use tokio::sync::oneshot;

type Done = oneshot::Sender<bool>;
type Result = std::result::Result<(), ActorProcessingErr>;

/// What all actors here are: a struct that is its own state. Gives the trait's shape once.
macro_rules! actor {
    ($state:ident, $message:ty, $self:ident, $state_name:ident, $message_name:ident, $myself:ident, $body:block) => {
        impl Actor for Kind<$state> {
            type Msg = $message;
            type State = $state;
            type Arguments = $state;
            async fn pre_start(&self, _: ActorRef<Self::Msg>, state: $state) -> std::result::Result<$state, ActorProcessingErr> {
                Ok(state)
            }
            async fn handle(&$self, $myself: ActorRef<Self::Msg>, $message_name: $message, $state_name: &mut $state) -> Result
                $body
        }
    };
}

struct Kind<T>(std::marker::PhantomData<fn() -> T>);

async fn spawn<T>(state: T, all: &mut Vec<ActorCell>) -> ActorRef<<Kind<T> as Actor>::Msg>
where
    Kind<T>: Actor<Arguments = T>,
    T: ractor::State,
{
    let (actor, _) = Actor::spawn(None, Kind(std::marker::PhantomData), state).await.expect("an actor");
    all.push(actor.get_cell());
    actor
}

enum Ball {
    Meet(ActorRef<Ball>),
    Left(u64),
}

struct Player {
    other: Option<ActorRef<Ball>>,
    rallies: u64,
    wanted: u64,
    done: Option<Done>,
}

actor!(Player, Ball, self, state, ball, _myself, {
    match ball {
        Ball::Meet(other) => state.other = Some(other),
        Ball::Left(0) => {
            if let Some(done) = state.done.take() {
                let _ = done.send(state.rallies + 1 == state.wanted);
            }
        }
        Ball::Left(left) => {
            state.rallies += 1;
            state.other.as_ref().unwrap().cast(Ball::Left(left - 1))?;
        }
    }
    Ok(())
});

async fn ping_pong(n: u64, done: Done, all: &mut Vec<ActorCell>) {
    let ping = spawn(Player { other: None, rallies: 0, wanted: n / 2, done: Some(done) }, all).await;
    let pong = spawn(Player { other: Some(ping.clone()), rallies: 0, wanted: 0, done: None }, all).await;
    let _ = ping.cast(Ball::Meet(pong.clone()));
    let _ = pong.cast(Ball::Left(n / 2 * 2 - 1));
}

struct Count(#[allow(dead_code)] u64);

struct Counter {
    counted: u64,
    wanted: u64,
    join: Option<ActorRef<Count>>,
    done: Option<Done>,
}

actor!(Counter, Count, self, state, _count, _myself, {
    state.counted += 1;
    if state.counted == state.wanted {
        if let Some(join) = &state.join {
            join.cast(Count(0))?;
        } else if let Some(done) = state.done.take() {
            let _ = done.send(true);
        }
    }
    Ok(())
});

struct More(u64);

struct Producer {
    to: Vec<ActorRef<Count>>,
}

actor!(Producer, More, self, state, more, myself, {
    let burst = more.0.min(BURST);
    for i in 0..burst {
        state.to[((more.0 - i) % state.to.len() as u64) as usize].cast(Count(i))?;
    }
    if more.0 > burst {
        myself.cast(More(more.0 - burst))?;
    }
    Ok(())
});

async fn counting(n: u64, done: Done, all: &mut Vec<ActorCell>) {
    let counter = spawn(Counter { counted: 0, wanted: n, join: None, done: Some(done) }, all).await;
    let producer = spawn(Producer { to: vec![counter] }, all).await;
    let _ = producer.cast(More(n));
}

async fn fork_join(n: u64, done: Done, all: &mut Vec<ActorCell>) {
    let join = spawn(Counter { counted: 0, wanted: 60, join: None, done: Some(done) }, all).await;
    let mut to = vec![];
    for _ in 0..60 {
        to.push(spawn(Counter { counted: 0, wanted: n / 60, join: Some(join.clone()), done: None }, all).await);
    }
    let producer = spawn(Producer { to }, all).await;
    let _ = producer.cast(More(n / 60 * 60));
}

enum Token {
    Next(ActorRef<Token>, Option<Done>),
    Left(u64),
}

struct Member {
    next: Option<ActorRef<Token>>,
    done: Option<Done>,
    last: bool,
}

actor!(Member, Token, self, state, token, _myself, {
    match token {
        Token::Next(next, done) => {
            state.next = Some(next);
            state.done = done;
        }
        Token::Left(0) => {
            if let Some(done) = state.done.take() {
                let _ = done.send(state.last);
            }
        }
        Token::Left(left) => state.next.as_ref().unwrap().cast(Token::Left(left - 1))?,
    }
    Ok(())
});

async fn ring(n: u64, done: Done, all: &mut Vec<ActorCell>) {
    let (end, mut done, mut members) = ((n as usize - 1) % 100, Some(done), vec![]);
    for i in 0..100 {
        members.push(spawn(Member { next: None, done: None, last: i == end }, all).await);
    }
    for i in 0..100 {
        let done = if i == end { done.take() } else { None };
        let _ = members[i].cast(Token::Next(members[(i + 1) % 100].clone(), done));
    }
    let _ = members[0].cast(Token::Left(n - 1));
}

enum Talk {
    All(Vec<ActorRef<Talk>>),
    Ask(ActorRef<Talk>),
    Answer,
}

struct Big {
    bigs: Vec<ActorRef<Talk>>,
    join: ActorRef<Count>,
    left: u64,
    seed: u32,
}

impl Big {
    fn next(&mut self, myself: ActorRef<Talk>) -> Result {
        if self.left == 0 {
            self.join.cast(Count(0))?;
            return Ok(());
        }
        self.left -= 1;
        self.bigs[random(&mut self.seed) as usize % 64].cast(Talk::Ask(myself))?;
        Ok(())
    }
}

actor!(Big, Talk, self, state, talk, myself, {
    match talk {
        Talk::Ask(from) => Ok(from.cast(Talk::Answer)?),
        Talk::Answer => state.next(myself),
        Talk::All(bigs) => {
            state.bigs = bigs;
            state.next(myself)
        }
    }
});

async fn big(n: u64, done: Done, all: &mut Vec<ActorCell>) {
    let join = spawn(Counter { counted: 0, wanted: 64, join: None, done: Some(done) }, all).await;
    let mut bigs = vec![];
    for i in 0..64u32 {
        bigs.push(spawn(Big { bigs: vec![], join: join.clone(), left: n / 128, seed: i * 7919 + 1 }, all).await);
    }
    for actor in &bigs {
        let _ = actor.cast(Talk::All(bigs.clone()));
    }
}

struct Work(ActorRef<Count>);

struct Leaf;

actor!(Leaf, Work, self, _state, work, myself, {
    work.0.cast(Count(1))?;
    myself.stop(None);
    Ok(())
});

struct Fork {
    join: ActorRef<Count>,
}

actor!(Fork, More, self, state, more, myself, {
    let burst = more.0.min(BURST);
    for _ in 0..burst {
        let (leaf, _) = ractor::ActorRuntime::spawn_instant(None, Kind::<Leaf>(std::marker::PhantomData), Leaf)?;
        leaf.cast(Work(state.join.clone()))?;
    }
    if more.0 > burst {
        myself.cast(More(more.0 - burst))?;
    }
    Ok(())
});

async fn fork_join_create(n: u64, done: Done, all: &mut Vec<ActorCell>) {
    let join = spawn(Counter { counted: 0, wanted: n, join: None, done: Some(done) }, all).await;
    let fork = spawn(Fork { join }, all).await;
    let _ = fork.cast(More(n));
}

async fn start(workload: &str, n: u64, done: Done, all: &mut Vec<ActorCell>) {
    match workload {
        "ping-pong" => ping_pong(n, done, all).await,
        "counting" => counting(n, done, all).await,
        "ring" => ring(n, done, all).await,
        "big" => big(n, done, all).await,
        "fork-join-create" => fork_join_create(n, done, all).await,
        _ => fork_join(n, done, all).await,
    }
}

fn units(workload: &str) -> Option<Units> {
    Some(match workload {
        "ping-pong" => (|n| n / 2 * 2, "message"),
        "counting" | "ring" => (|n| n, "message"),
        "big" => (|n| n / 128 * 128, "message"),
        "fork-join-create" => (|n| n, "actor"),
        "fork-join" => (|n| n / 60 * 60, "message"),
        _ => return None,
    })
}

fn main() {
    let arguments = contract::arguments();
    let Some(units) = units(&arguments.workload) else { contract::no_such_workload() };
    let runtime = if arguments.threads == 1 {
        tokio::runtime::Builder::new_current_thread().build()
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(arguments.threads).build()
    };
    let runtime = runtime.expect("a runtime");
    let workload = arguments.workload.clone();
    let n = arguments.n;
    contract::serve(&arguments, units, || {
        let workload = workload.clone();
        // In a task of its own: what is blocked on runs on the caller's thread, which is none of the workers.
        let run = async move {
            let mut all = vec![];
            let (done, end) = oneshot::channel();
            let began = Instant::now();
            start(&workload, n, done, &mut all).await;
            contract::check(end.await.unwrap_or(false));
            let took = began.elapsed().as_nanos();
            for actor in all {
                let _ = actor.stop_and_wait(None, None).await;
            }
            took
        };
        let task = runtime.spawn(run);
        runtime.block_on(task).expect("a run")
    });
}
