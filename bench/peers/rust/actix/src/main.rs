// SPDX-License-Identifier: MIT
//! The Savina workloads on Actix. Actors stay on the arbiter (a thread) where they were started: what talks much
//! together is put on one; what works for itself is spread.

mod accounts;
mod computations;
mod meetings;
mod messages;

use actix::prelude::*;
use contract::Watch;
use tokio::sync::oneshot;

#[macro_export]
macro_rules! messages {
    ($($item:item)*) => {$(
        #[derive(actix::Message)]
        #[rtype(result = "()")]
        $item
    )*};
}

/// Actors that end on Halt.
#[macro_export]
macro_rules! stoppable {
    ($($actor:ident $(<$t:ident: $bound:path>)?),*) => {$(
        impl$(<$t: $bound>)? actix::Actor for $actor$(<$t>)? {
            type Context = actix::Context<Self>;
        }
        impl$(<$t: $bound>)? actix::Handler<$crate::Halt> for $actor$(<$t>)? {
            type Result = ();
            fn handle(&mut self, _: $crate::Halt, context: &mut Self::Context) {
                actix::ActorContext::stop(context);
            }
        }
    )*};
}

messages! {
    /// Ends an actor after a run.
    pub struct Halt;
    /// To a join.
    pub struct Finished(pub u64);
    pub struct Real(pub f64);
}

/// Adds up what it is told; ends the run when all have told it.
pub struct Join {
    missing: u64,
    sum: u64,
    reals: f64,
    done: Option<oneshot::Sender<u64>>,
}

impl Join {
    fn one_less(&mut self) {
        self.missing -= 1;
        if self.missing == 0 {
            let _ = self.done.take().unwrap().send(self.sum + contract::rounded(self.reals));
        }
    }
}

impl Handler<Finished> for Join {
    type Result = ();
    fn handle(&mut self, finished: Finished, _: &mut Context<Self>) {
        self.sum += finished.0;
        self.one_less();
    }
}

impl Handler<Real> for Join {
    type Result = ();
    fn handle(&mut self, real: Real, _: &mut Context<Self>) {
        self.reals += real.0;
        self.one_less();
    }
}

stoppable!(Join);

/// Where a run puts its actors, and whom it has to stop.
pub struct Stage {
    arbiters: Vec<ArbiterHandle>,
    actors: Vec<Recipient<Halt>>,
    done: Option<oneshot::Sender<u64>>,
}

impl Stage {
    pub fn keep<A: Actor<Context = Context<A>> + Handler<Halt>>(&mut self, actor: Addr<A>) -> Addr<A> {
        self.actors.push(actor.clone().recipient());
        actor
    }

    /// On the thread of the caller.
    pub fn start<A: Actor<Context = Context<A>> + Handler<Halt>>(&mut self, actor: A) -> Addr<A> {
        self.keep(actor.start())
    }

    /// On the threads in turn.
    pub fn spread<A: Actor<Context = Context<A>> + Handler<Halt> + Send>(&mut self, index: usize, actor: A) -> Addr<A> {
        match index % self.arbiters.len() {
            0 => self.start(actor),
            thread => self.keep(A::start_in_arbiter(&self.arbiters[thread], |_| actor)),
        }
    }

    /// What ends the run when so many have finished.
    pub fn join(&mut self, missing: u64) -> Addr<Join> {
        let done = self.done.take();
        self.start(Join { missing, sum: 0, reals: 0.0, done })
    }
}

fn main() {
    let arguments = contract::arguments();
    let start: fn(&mut Stage, u64) = contract::find!(arguments.workload.as_str());
    let system = System::new();
    let threads: Vec<Arbiter> = system.block_on(async { (1..arguments.threads).map(|_| Arbiter::new()).collect() });
    contract::serve(&arguments, |n| {
        system.block_on(async {
            let (done, end) = oneshot::channel();
            let mut stage = Stage { arbiters: vec![Arbiter::current()], actors: vec![], done: Some(done) };
            stage.arbiters.extend(threads.iter().map(Arbiter::handle));
            let watch = Watch::start();
            start(&mut stage, n);
            let run = watch.stop(end.await.expect("a value"));
            for actor in &stage.actors {
                let _ = actor.send(Halt).await;
            }
            run
        })
    });
}
