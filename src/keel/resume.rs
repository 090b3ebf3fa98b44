//! Checkpoint and resume: stopping a run and continuing it as if it had not stopped.

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;

use super::accumulate::Accumulated;
use super::kept::Kept;
use super::policies::Names;
use super::{Keel, Progress, SPENT, Snapshot};
use crate::Error;
use crate::checkpoint::{Checkpoint, Persist, State, as_in, canonical, plain};
use crate::monitor::Monitor;
use crate::running_statistics::Running;
use crate::tied::{apart, tie};

/// Contents of a checkpoint apart from counters and the memory of policies.
struct Loaded<M: Module> {
    now: Snapshot<M>,
    snapshots: Vec<(u64, Snapshot<M>)>,
    recent: Option<(u64, Snapshot<M>)>,
    /// The running statistics after the last update; `now` has those of the last forward pass.
    running: Running,
    accumulated: Accumulated,
}

/// Names inside a checkpoint.
const KEEL: &str = "keel";
const MODEL: &str = "model";
const RECENT: &str = "recent";

impl<M: Module + 'static> Keel<M> {
    /// Creates a checkpoint with everything needed to continue from here: the model with its running statistics, the
    /// optimizer, the counters, the memory of guards and clips, and the snapshots.
    ///
    /// The schedule lives outside the keel, so it is added by [`Checkpoint::with`]:
    ///
    /// ```no_run
    /// # use evenkeel::{Keel, checkpoint::Checkpoint, schedule::{Constant, Scheduler}};
    /// # use burn::nn::Linear;
    /// # fn f(mut keel: Keel<Linear>, model: Linear, mut schedule: Scheduler<Constant>) -> Result<(), evenkeel::Error> {
    /// keel.checkpoint(&model)?.with("schedule", &schedule)?.save("run.keel")?;
    ///
    /// // Later, in a new process, with the same model, keel and schedule built anew:
    /// let saved = Checkpoint::load("run.keel")?;
    /// let model = keel.resume_with(&model, &saved, &mut [("schedule", &mut schedule)])?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the device cannot be read, if the optimizer's state is lost, or if steps are [pending](Self::pending): call
    /// [`flush`](Self::flush) first.
    ///
    /// # Cost
    /// Copies the model and the optimizer's state to the host, and again for every snapshot.
    pub fn checkpoint(&self, model: &M) -> Result<Checkpoint, Error> {
        if self.kept.spent {
            return Err(Error::record(SPENT));
        }
        if self.pending() > 0 {
            return Err(Error::record(format_args!(
                "{} steps have not been read from the device; `flush` reads them",
                self.pending()
            )));
        }
        self.kept.running.settle(model);
        let mut now = self.snapshot(model, None, None);
        now.kept.running.commit(model);
        let mut state = now
            .state(&self.monitor)?
            .with_part("progress", self.progress.state())
            .with_part("accumulated", self.kept.accumulated.state(model)?)
            .with_bytes("running", self.kept.running.to_bytes(model)?)
            .with_count("tried", self.ring.is_tried().into())
            .with_count("snapshots", self.ring.iter().len() as u64)
            .with_part("policies", self.names().state());
        if let Some(scale) = &self.loss_scale {
            state = state.with_part("loss_scale", scale.state());
        }
        for (at, (update, snapshot)) in self.ring.iter().enumerate() {
            let part = snapshot.placed(update, &self.monitor)?;
            state = state.with_part(&format!("snapshot{at}"), part);
        }
        if let Some((update, snapshot)) = self.ring.recent() {
            state = state.with_part(RECENT, snapshot.placed(update, &self.monitor)?);
        }
        Ok(Checkpoint::new(State::new().with_part(KEEL, state)))
    }

    /// Restores a [`checkpoint`](Self::checkpoint), and returns the model as it was. If the checkpoint holds more than
    /// that, use [`resume_with`](Self::resume_with).
    ///
    /// `model` is one of the same architecture, on the device where training should continue; its values do not matter.
    /// The keel must have been built like the saved one, or be [allowed](Self::allow_other_policies) to differ.
    ///
    /// The continued run is bit-identical on a CPU, if the loop feeds it the same batches. If the schedule of its first
    /// step is not at the position that was saved with this model, that step halts: see
    /// [`allow_other_schedule`](Self::allow_other_schedule).
    ///
    /// # Errors
    /// If the checkpoint is of another model, another optimizer, or other guards, clips and bounds, or if something was
    /// [added](Checkpoint::with) to it in addition to the keel. Keel and model are then unchanged.
    pub fn resume(&mut self, model: &M, saved: &Checkpoint) -> Result<M, Error> {
        self.resume_with(model, saved, &mut [])
    }

    pub(super) fn resume_own(&mut self, model: &M, saved: &Checkpoint) -> Result<M, Error> {
        let state = saved.state().part(KEEL);
        if state.is_empty() {
            return Err(Error::record("there is no keel in it"));
        }
        let (theirs, ours) = (Names::restored(&state.part("policies"))?, self.names());
        if theirs != ours && !self.other_policies {
            return Err(Error::record(format_args!(
                "it was saved with {theirs}, and this keel has {ours}; if that is meant, call \
                 `allow_other_policies` first"
            )));
        }
        let progress = Progress::restored(&state.part("progress"))?;
        let tried = state.count("tried")? != 0;
        let mut loss_scale = self.loss_scale.clone();
        if let Some(scale) = &mut loss_scale
            && theirs.loss_scale
        {
            scale.restore(&state.part("loss_scale"))?;
        }

        // Loading writes into the running statistics that a model shares with its clones, so `model` must keep its own.
        let fresh = || apart(model);
        let running = Running::of(&fresh());
        let Loaded { mut now, mut snapshots, mut recent, running, accumulated } =
            self.load_states(&fresh, &running, &state, &theirs)?;
        if self.other_policies {
            let earlier =
                snapshots.iter_mut().chain(&mut recent).map(|(_, then)| &mut then.policies);
            self.leave_out_what_does_not_fit(earlier.chain([&mut now.policies]).collect());
        }
        let earlier = snapshots.iter().chain(&recent).map(|(_, then)| &then.policies);
        let memories = earlier.chain([&now.policies]);
        self.restore_policies(memories)?;

        let model = now.kept.running.restore(now.model);
        self.monitor = self.monitor.anew(&model, running.ids().collect());
        self.kept = Kept { running, accumulated, ..now.kept };
        self.loss_scale = loss_scale;
        self.ring = self.ring.refilled(snapshots, recent, tried);
        self.progress = progress;
        self.peak = None;
        self.pending.clear();
        self.resumed = true;
        self.other_policies = false;
        self.seed_forward(&model);
        if self.limits.rewind.is_some() && self.ring.iter().len() == 0 {
            // It was saved without rewinding, and a rewind needs a snapshot.
            let at = self.progress.updates.wrapping_add(self.progress.lead);
            let start = self.snapshot(&model, Some(at), None);
            self.ring.push(self.progress.updates, start);
        }
        Ok(model)
    }

    fn load_states(
        &self,
        model: &dyn Fn() -> M,
        running: &Running,
        state: &State,
        names: &Names,
    ) -> Result<Loaded<M>, Error> {
        let placed = |part: State| -> Result<_, Error> {
            let mut snapshot = self.load_snapshot(model, running, &part, names)?;
            snapshot.position = part.count("position").ok();
            snapshot.schedule = part.count("scheduled").ok().map(|_| part.part("schedule"));
            snapshot.attempts = part.counter("attempts")?;
            Ok((part.counter("update")?, snapshot))
        };
        let mut snapshots = Vec::new();
        for at in 0..state.count("snapshots")? {
            snapshots.push(placed(state.part(&format!("snapshot{at}")))?);
        }
        let recent = match state.part(RECENT) {
            none if none.is_empty() => None,
            // A recent snapshot taken with other settings would never be replaced.
            _ if self.limits.rewind.is_none_or(|rewind| rewind.recent == 0) => None,
            part => Some(placed(part)?),
        };
        let now = self.load_snapshot(model, running, state, names)?;
        let accumulated =
            Accumulated::restored(&state.part("accumulated"), &now.model, &now.kept.running)?;
        let running = Running::from_bytes(state.bytes("running")?, &now.model)?;
        let watched = self.monitor.anew(&now.model, running.ids().collect());
        watched.check_resumed(&now.model)?;
        Ok(Loaded { now, snapshots, recent, running, accumulated })
    }

    fn load_snapshot(
        &self,
        model: &dyn Fn() -> M,
        running: &Running,
        state: &State,
        names: &Names,
    ) -> Result<Snapshot<M>, Error> {
        let bytes = Bytes::from_bytes_vec(state.bytes(MODEL)?.to_vec());
        let record = ModuleRecord::from_bytes(bytes).map_err(Error::record)?;
        let like = model();
        let model = plain(like.clone()).try_load_record(record).map_err(|cause| {
            Error::record(format_args!("the model in it is not this one: {cause}"))
        })?;
        let model = tie(as_in(model, &like));
        let mut update = self.kept.update.boxed();
        update.restore(&state.part("optimizer"))?;
        update.check_fit(&model)?;
        if !update.is_finite()? {
            return Err(Error::record("the optimizer's state in it is not finite"));
        }
        let mut running = running.clone();
        running.commit(&model);
        let average = match &self.kept.average {
            Some(average) if names.average => {
                Some(average.restored(&state.part("average"), &model)?)
            }
            Some(average) => Some(average.anew()),
            None => None,
        };
        let policies = self.policies().restored(&state.part("memory"), &self.names(), names);
        let level = state.list("level")?.first().copied();
        if level.is_some_and(|level| !level.is_finite()) {
            return Err(Error::record("the losses of a snapshot must be finite"));
        }
        Ok(Snapshot {
            model,
            kept: Kept {
                update,
                spent: false,
                running,
                average,
                accumulated: Accumulated::default(),
            },
            position: None,
            schedule: None,
            attempts: 0,
            level,
            policies,
        })
    }
}

impl<M: Module + 'static> Snapshot<M> {
    /// Returns the snapshot's state and its place in the run.
    fn placed(&self, update: u64, monitor: &Monitor) -> Result<State, Error> {
        let mut state =
            self.state(monitor)?.with_count("update", update).with_count("attempts", self.attempts);
        if let Some(position) = self.position {
            state = state.with_count("position", position);
        }
        if let Some(schedule) = &self.schedule {
            state = state.with_count("scheduled", 1).with_part("schedule", schedule.clone());
        }
        Ok(state)
    }

    fn state(&self, monitor: &Monitor) -> Result<State, Error> {
        let failed = |cause: String| Error::io("writing the model", cause);
        // A copy that shares no running statistics with the live model, so that its record has the snapshot's own.
        let model = plain(self.kept.running.restore(self.model.valid()));
        let bytes = model.into_record().into_bytes().map_err(|e| failed(e.to_string()))?;
        let layout = monitor.layout();
        let running: Vec<&str> = self.kept.running.ids().map(|id| layout.path(id)).collect();
        let bytes =
            canonical(bytes, |path| running.contains(&path)).map_err(|e| failed(e.to_string()))?;
        let mut state = State::new()
            .with_bytes(MODEL, bytes)
            .with_part("optimizer", self.kept.update.state()?)
            .with_part("memory", self.policies.state())
            .with_list("level", self.level.into_iter().collect());
        if let Some(average) = &self.kept.average {
            state = state.with_part("average", average.state(&self.model)?);
        }
        Ok(state)
    }
}
