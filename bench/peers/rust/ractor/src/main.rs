// SPDX-License-Identifier: MIT
//! The Savina workloads on ractor, on Tokio's current-thread runtime for one thread and its multi-thread one for more.

mod accounts;
mod computations;
mod meetings;
mod messages;

use contract::Watch;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, ActorRuntime};
use std::marker::PhantomData;
use tokio::sync::oneshot;

type Result = std::result::Result<(), ActorProcessingErr>;

/// What an actor here is: its state, which handles one type of message.
pub trait Role: Send + Sized + 'static {
    type Message: Send + 'static;
    fn started(&mut self, _myself: &ActorRef<Self::Message>) {}
    fn handle(&mut self, myself: &ActorRef<Self::Message>, message: Self::Message);
}

struct Kind<R>(PhantomData<fn() -> R>);

impl<R: Role> Actor for Kind<R> {
    type Msg = R::Message;
    type State = R;
    type Arguments = R;

    async fn pre_start(&self, _: ActorRef<Self::Msg>, state: R) -> std::result::Result<R, ActorProcessingErr> {
        Ok(state)
    }

    async fn post_start(&self, myself: ActorRef<Self::Msg>, state: &mut R) -> Result {
        state.started(&myself);
        Ok(())
    }

    async fn handle(&self, myself: ActorRef<Self::Msg>, message: Self::Msg, state: &mut R) -> Result {
        state.handle(&myself, message);
        Ok(())
    }
}

/// Makes an actor that ends by itself.
pub fn spawn<R: Role>(state: R) -> ActorRef<R::Message> {
    ActorRuntime::spawn_instant(None, Kind::<R>(PhantomData), state).expect("an actor").0
}

pub fn tell<M: Send + 'static>(to: &ActorRef<M>, message: M) {
    let _ = to.cast(message);
}

/// Adds up what it is told; ends the run when all have told it.
pub struct Join {
    missing: u64,
    sum: u64,
    reals: f64,
    done: Option<oneshot::Sender<u64>>,
}

pub enum Told {
    Finished(u64),
    Real(f64),
}

impl Role for Join {
    type Message = Told;
    fn handle(&mut self, _: &ActorRef<Told>, told: Told) {
        match told {
            Told::Finished(value) => self.sum += value,
            Told::Real(value) => self.reals += value,
        }
        self.missing -= 1;
        if self.missing == 0 {
            let _ = self.done.take().unwrap().send(self.sum + contract::rounded(self.reals));
        }
    }
}

/// Whom a run has to stop.
pub struct Stage {
    actors: Vec<ActorCell>,
    done: Option<oneshot::Sender<u64>>,
}

impl Stage {
    pub fn start<R: Role>(&mut self, state: R) -> ActorRef<R::Message> {
        let actor = spawn(state);
        self.actors.push(actor.get_cell());
        actor
    }

    /// What ends the run when so many have finished.
    pub fn join(&mut self, missing: u64) -> ActorRef<Told> {
        let done = self.done.take();
        self.start(Join { missing, sum: 0, reals: 0.0, done })
    }
}

fn main() {
    let arguments = contract::arguments();
    let start: fn(&mut Stage, u64) = contract::find!(arguments.workload.as_str());
    let runtime = if arguments.threads == 1 {
        tokio::runtime::Builder::new_current_thread().build()
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(arguments.threads).build()
    };
    let runtime = runtime.expect("a runtime");
    contract::serve(&arguments, |n| {
        // In a task of its own: what is blocked on runs on the caller's thread, which is none of the workers.
        let task = runtime.spawn(async move {
            let (done, end) = oneshot::channel();
            let mut stage = Stage { actors: vec![], done: Some(done) };
            let watch = Watch::start();
            start(&mut stage, n);
            let run = watch.stop(end.await.expect("a value"));
            for actor in stage.actors {
                let _ = actor.stop_and_wait(None, None).await;
            }
            run
        });
        runtime.block_on(task).expect("a run")
    });
}
