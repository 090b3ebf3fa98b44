//! Names and memories of a keel's guards, clips and bounds, and matching saved memories to them.

use std::fmt;

use burn::module::Module;

use super::Keel;
use crate::Error;
use crate::checkpoint::State;

/// The memory of every guard, every clip and every bound.
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

    /// Returns the saved memory of the policies that were saved, and the present one of the others.
    pub(super) fn restored(self, state: &State, ours: &Names, theirs: &Names) -> Self {
        let parts = |kind: &str, here: Vec<State>, ours: &[String], theirs: &[String]| {
            let pick = |(here, place): (State, Option<usize>)| match place {
                Some(at) => state.part(&format!("{kind}{at}")),
                None => here,
            };
            here.into_iter().zip(places(ours, theirs)).map(pick).collect()
        };
        Self {
            guards: parts("guard", self.guards, &ours.guards, &theirs.guards),
            clips: parts("clip", self.clips, &ours.clips, &theirs.clips),
            bounds: parts("bound", self.bounds, &ours.bounds, &theirs.bounds),
        }
    }
}

/// Returns where each of our names is among theirs: the first of a name matches the first of that name there, the
/// second matches the second.
fn places(ours: &[String], theirs: &[String]) -> Vec<Option<usize>> {
    let place = |(at, name): (usize, &String)| {
        let before = ours[..at].iter().filter(|other| *other == name).count();
        let same = theirs.iter().enumerate().filter(|(_, other)| *other == name);
        same.map(|(at, _)| at).nth(before)
    };
    ours.iter().enumerate().map(place).collect()
}

/// Names of the policies whose memories a checkpoint holds, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    guards: Vec<String>,
    clips: Vec<String>,
    bounds: Vec<String>,
    pub(super) average: bool,
    pub(super) loss_scale: bool,
    seed: Option<u64>,
}

const KINDS: [&str; 3] = ["guard", "clip", "bound"];

impl Names {
    pub(super) fn state(&self) -> State {
        let mut state = State::new()
            .with_count("average", self.average.into())
            .with_count("loss_scale", self.loss_scale.into());
        if let Some(seed) = self.seed {
            state = state.with_count("seed", seed);
        }
        for (kind, names) in KINDS.into_iter().zip([&self.guards, &self.clips, &self.bounds]) {
            state = state.with_count(&format!("{kind}s"), names.len() as u64);
            for (at, name) in names.iter().enumerate() {
                state = state.with_bytes(&format!("{kind}{at}"), name.clone().into_bytes());
            }
        }
        state
    }

    pub(super) fn restored(state: &State) -> Result<Self, Error> {
        let list = |kind: &str| -> Result<Vec<String>, Error> {
            let name = |at| state.bytes(&format!("{kind}{at}"));
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (0..state.count(&format!("{kind}s"))?).map(|at| name(at).map(text)).collect()
        };
        let [guards, clips, bounds] = KINDS.map(list);
        Ok(Self {
            guards: guards?,
            clips: clips?,
            bounds: bounds?,
            average: state.count("average")? != 0,
            loss_scale: state.count("loss_scale")? != 0,
            seed: state.count("seed").ok(),
        })
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| match names.is_empty() {
            true => "none".to_string(),
            false => names.join(", "),
        };
        write!(f, "guards {} and clips {}", list(&self.guards), list(&self.clips))?;
        if !self.bounds.is_empty() {
            write!(f, ", bounds {}", list(&self.bounds))?;
        }
        if self.average {
            f.write_str(", with an average")?;
        }
        if self.loss_scale {
            f.write_str(", with loss scaling")?;
        }
        if let Some(seed) = self.seed {
            write!(f, ", with the seed {seed}")?;
        }
        Ok(())
    }
}

impl<M: Module + 'static> Keel<M> {
    /// Allows the next [`resume`](Self::resume) to use a checkpoint that was saved with other guards, clips, bounds,
    /// average, loss scaling or seed.
    ///
    /// Counters, optimizer and snapshots are restored as usual. A policy restores the memory that was saved under its
    /// name; among policies of the same name, the n-th restores the memory of the n-th. A policy that wasn't saved
    /// keeps its present memory, which is empty in a keel just built. So does one whose saved memory doesn't fit
    /// because its settings differ. Saved memory without a matching policy is dropped.
    ///
    /// This way the policies of a run can be changed on resume, and after a halt:
    ///
    /// ```
    /// use burn::nn::{Linear, LinearConfig};
    /// use burn::optim::AdamConfig;
    /// use burn::tensor::Device;
    /// use evenkeel::guard::LossSpike;
    /// use evenkeel::{Keel, Rewind};
    ///
    /// # fn main() -> Result<(), evenkeel::Error> {
    /// let model = LinearConfig::new(4, 1).init(&Device::default().autodiff());
    /// let before: Keel<Linear> = Keel::wrap(AdamConfig::new().init()).build(&model)?;
    /// let saved = before.checkpoint(&model)?;
    ///
    /// let mut keel = Keel::wrap(AdamConfig::new().init())
    ///     .guard(LossSpike::default())
    ///     .rewind(Rewind::every(100)?)
    ///     .build(&model)?;
    /// keel.allow_other_policies();
    /// let model = keel.resume(&model, &saved)?;
    /// # let _ = model;
    /// # Ok(())
    /// # }
    /// ```
    pub fn allow_other_policies(&mut self) {
        self.other_policies = true;
    }

    /// Returns the present memory of the guards, clips and bounds.
    pub(super) fn policies(&self) -> Policies {
        Policies {
            guards: self.guards.iter().map(|guard| guard.state()).collect(),
            clips: self.clips.iter().map(|clip| clip.state()).collect(),
            bounds: self.bounds.iter().map(|bound| bound.state()).collect(),
        }
    }

    pub(super) fn names(&self) -> Names {
        Names {
            guards: self.guards.iter().map(|guard| guard.name().to_string()).collect(),
            clips: self.clips.iter().map(|clip| clip.name().to_string()).collect(),
            bounds: self.bounds.iter().map(|bound| bound.name().to_string()).collect(),
            average: self.kept.average.is_some(),
            loss_scale: self.loss_scale.is_some(),
            seed: self.seed,
        }
    }

    /// Replaces all memories of a policy by its present one if it rejects any of them.
    pub(super) fn leave_out_what_does_not_fit(&mut self, mut memories: Vec<&mut Policies>) {
        let now = self.policies();
        for (at, guard) in self.guards.iter_mut().enumerate() {
            let kept = memories.iter_mut().map(|all| &mut all.guards[at]).collect();
            fit(kept, &now.guards[at], |state| guard.restore(state));
        }
        for (at, clip) in self.clips.iter_mut().enumerate() {
            let kept = memories.iter_mut().map(|all| &mut all.clips[at]).collect();
            fit(kept, &now.clips[at], |state| clip.restore(state));
        }
        for (at, bound) in self.bounds.iter_mut().enumerate() {
            let kept = memories.iter_mut().map(|all| &mut all.bounds[at]).collect();
            fit(kept, &now.bounds[at], |state| bound.restore(state));
        }
    }

    /// Restores each of these memories in all policies, and keeps the last one; if one does not fit, changes nothing.
    pub(super) fn restore_policies<'a>(
        &mut self,
        memories: impl Iterator<Item = &'a Policies>,
    ) -> Result<(), Error> {
        let before = self.policies();
        for memory in memories {
            if let Err(error) = self.try_restore_policies(memory) {
                // A policy accepts a state that it has just returned.
                let _ = self.try_restore_policies(&before);
                return Err(error);
            }
        }
        Ok(())
    }

    fn try_restore_policies(&mut self, memory: &Policies) -> Result<(), Error> {
        let guards = self.guards.iter_mut().zip(&memory.guards);
        guards.into_iter().try_for_each(|(guard, state)| guard.restore(state))?;
        let clips = self.clips.iter_mut().zip(&memory.clips);
        clips.into_iter().try_for_each(|(clip, state)| clip.restore(state))?;
        let bounds = self.bounds.iter_mut().zip(&memory.bounds);
        bounds.into_iter().try_for_each(|(bound, state)| bound.restore(state))
    }
}

/// Tries each of these states, and replaces all of them by `now` if one does not fit. The policy is at `now`
/// afterwards.
fn fit(kept: Vec<&mut State>, now: &State, mut restore: impl FnMut(&State) -> Result<(), Error>) {
    if kept.iter().any(|state| restore(state).is_err()) {
        kept.into_iter().for_each(|state| *state = now.clone());
    }
    // It accepts a state that it has just returned.
    let _ = restore(now);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_of_a_name_is_the_nth_of_that_name() {
        let names = |all: &[&str]| all.iter().map(|name| name.to_string()).collect::<Vec<_>>();
        let found = places(&names(&["a", "b", "a", "a", "new"]), &names(&["b", "a", "gone", "a"]));
        assert_eq!(found, [Some(1), Some(0), Some(3), None, None]);
    }

    #[test]
    fn names_are_read_back_whatever_is_in_them() {
        let names = Names {
            guards: vec!["NonFinite".into(), "a, b\nand clips c".into()],
            clips: Vec::new(),
            bounds: vec!["Governor".into()],
            average: true,
            loss_scale: false,
            seed: Some(3),
        };
        assert_eq!(Names::restored(&names.state()).unwrap(), names);
        assert!(Names::restored(&State::new()).is_err());
        assert!(
            names
                .to_string()
                .ends_with("and clips none, bounds Governor, with an average, with the seed 3")
        );
    }
}
