//! A state to go back to: everything that moves together.

use burn::module::Module;

use super::Keel;
use crate::average::Shadow;
use crate::checkpoint::State;
use crate::optim::Update;
use crate::running::Running;

/// Everything that a rewind restores. Made of handles: what they share with the live run is copied
/// when the run next writes to it.
pub(super) struct Snapshot<M: Module> {
    pub(super) model: M,
    pub(super) running: Running,
    pub(super) update: Box<dyn Update<M>>,
    pub(super) average: Option<Shadow>,
    /// Where the schedule goes on; unknown until the first step shows it.
    pub(super) position: Option<u64>,
    /// What feedback in the schedule had learnt; unknown until the first step, and of a plain rate.
    pub(super) schedule: Option<State>,
    /// The batch that came next.
    pub(super) attempts: u64,
    /// What the losses were here; unknown until there was one.
    pub(super) level: Option<f64>,
    pub(super) policies: Policies,
}

/// The memory of every guard, of every clip and of every bound.
#[derive(Debug, Clone, Default)]
pub(super) struct Policies {
    pub(super) guards: Vec<State>,
    pub(super) clips: Vec<State>,
    pub(super) bounds: Vec<State>,
}

impl Policies {
    pub(super) fn state(&self) -> State {
        let parts = |state: State, name: &str, all: &[State]| {
            all.iter().enumerate().fold(state, |state, (at, part)| {
                state.with_part(&format!("{name}{at}"), part.clone())
            })
        };
        let state = parts(State::new(), "guard", &self.guards);
        parts(parts(state, "clip", &self.clips), "bound", &self.bounds)
    }

    /// Of so many guards, clips and bounds.
    pub(super) fn restored(state: &State, [guards, clips, bounds]: [usize; 3]) -> Self {
        let parts =
            |name: &str, n: usize| (0..n).map(|at| state.part(&format!("{name}{at}"))).collect();
        Self {
            guards: parts("guard", guards),
            clips: parts("clip", clips),
            bounds: parts("bound", bounds),
        }
    }
}

impl<M: Module + 'static> Keel<M> {
    pub(super) fn snapshot(
        &self,
        model: &M,
        position: Option<u64>,
        schedule: Option<State>,
    ) -> Snapshot<M> {
        Snapshot {
            model: model.clone(),
            running: self.running.clone(),
            update: self.update.boxed(),
            average: self.average.clone(),
            position,
            schedule,
            attempts: self.progress.attempts,
            level: self.progress.level(),
            policies: self.policies(),
        }
    }

    /// What the guards, clips and bounds remember now.
    pub(super) fn policies(&self) -> Policies {
        Policies {
            guards: self.guards.iter().map(|guard| guard.state()).collect(),
            clips: self.clips.iter().map(|clip| clip.state()).collect(),
            bounds: self.bounds.iter().map(|bound| bound.state()).collect(),
        }
    }
}
