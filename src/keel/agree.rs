//! One verdict for all ranks: all of them decide from the same numbers.
//!
//! Invariant: all ranks call the same operations of [`Ranks`] in the same order. The next operation is chosen from what
//! all ranks know, and a rank that cannot continue still says so when its turn comes.

use burn::module::{Module, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use super::flat::{Flat, Has};
use super::{Keel, SPENT};
use crate::checkpoint::{Persist, State};
use crate::ranks::{RankError, Ranks};
use crate::report::{Culprit, Part};
use crate::schedule::Rate;
use crate::{Fault, Halted, Reading, Stepped, monitor};

/// A keel's membership in its group of ranks.
pub(super) struct Crew {
    ranks: Box<dyn Ranks>,
    /// Whether the replicas have been compared.
    compared: bool,
    /// This rank's contribution to the present step, before averaging.
    own: Option<(GradientsParams, Tensor<1>)>,
}

/// One rank's contribution to a step: gradients, loss and their weight.
pub(super) struct Share {
    pub(super) grads: GradientsParams,
    pub(super) loss: Tensor<1>,
    pub(super) weight: f64,
}

/// The reason why the ranks take no step.
pub(super) struct Apart {
    why: String,
    cause: Option<RankError>,
}

impl From<RankError> for Apart {
    fn from(cause: RankError) -> Self {
        Self { why: cause.to_string(), cause: Some(cause) }
    }
}

impl From<String> for Apart {
    fn from(why: String) -> Self {
        Self { why, cause: None }
    }
}

/// Faults in the order of their numbers among ranks, from 1; 0 means none.
const FAULTS: [Fault; 7] = [
    Fault::Rate,
    Fault::Parameter,
    Fault::Loss,
    Fault::Gradient,
    Fault::Statistic,
    Fault::Update,
    Fault::Optimizer,
];
const PARTS: [Part; 3] = [Part::Parameter, Part::Gradient, Part::Statistic];

/// Largest relative difference between norms of replicas that have the same weights.
const SAME: f64 = 1e-4;

impl Crew {
    pub(super) fn new(ranks: Box<dyn Ranks>) -> Self {
        Self { ranks, compared: false, own: None }
    }
}

impl<M: Module + 'static> Keel<M> {
    /// Makes one step of all ranks, to which this one contributes `share`, or a reason to stop.
    pub(super) fn step_together(
        &mut self,
        rate: Rate<'_>,
        model: M,
        share: Result<Share, String>,
    ) -> Result<Stepped<M>, Halted<M>> {
        match self.pool(&rate, &model, share) {
            Ok((grads, reading, scale)) => self.decide(rate, model, grads, reading, scale),
            Err(apart) => Err(self.apart(rate, model, apart)),
        }
    }

    pub(super) fn apart(&mut self, rate: Rate<'_>, model: M, apart: Apart) -> Halted<M> {
        self.broken(rate, model, &apart.why).with_rank_error(apart.cause)
    }

    fn gather(&mut self, mine: Vec<f64>) -> Result<Vec<Vec<f64>>, Apart> {
        let Some(crew) = &mut self.crew else { return Ok(vec![mine]) };
        let (length, count) = (mine.len(), crew.ranks.count());
        let all = crew.ranks.gather(mine)?;
        if all.len() != count {
            return Err(format!("{} of {count} ranks have shown their numbers", all.len()).into());
        }
        // All ranks compare with the first, so that all get the same result.
        match all.iter().position(|numbers| numbers.len() != all[0].len()) {
            None if all[0].len() == length => Ok(all),
            other => Err(format!("rank {} has another model", other.unwrap_or_default()).into()),
        }
    }

    /// Returns the mean gradients of all ranks times the loss scale, the reading that all ranks share, and the loss
    /// scale.
    fn pool(
        &mut self,
        rate: &Rate<'_>,
        model: &M,
        share: Result<Share, String>,
    ) -> Result<(GradientsParams, Reading, f64), Apart> {
        let own_scale = self.loss_scale();
        let present: Vec<bool> = {
            let grads = share.as_ref().ok().filter(|share| share.weight > 0.0);
            let mut has = Has { grads: grads.map(|share| &share.grads), ids: Vec::new() };
            model.visit(&mut has);
            let entries = self.monitor.layout().entries().iter();
            entries.map(|entry| has.ids.contains(&entry.id)).collect()
        };
        let (weight, present) =
            self.meet(rate, share.as_ref().map(|share| share.weight), present)?;
        let share = share?;

        let ids = self.monitor.layout().entries().iter().zip(present);
        let ids: Vec<ParamId> = ids.filter(|(_, has)| *has).map(|(entry, _)| entry.id).collect();
        let flat = Flat::of(model, &share, &ids, own_scale);
        self.keep_own(share);
        let Some(crew) = &mut self.crew else { return Err(String::from("no ranks").into()) };
        let sum = crew.ranks.sum(flat)?;
        let scale = self.loss_scale();
        let (grads, loss) = Flat::back(model, sum, &ids, weight, scale);

        let reading = self.measure(rate, model, &grads, Some(&loss), scale);
        Ok((grads, self.share_reading(reading)?, scale))
    }

    /// Exchanges what the ranks have to know before they add anything up: returns their total weight, and which
    /// parameters have a gradient on any of them.
    fn meet(
        &mut self,
        rate: &Rate<'_>,
        weight: Result<f64, &String>,
        present: Vec<bool>,
    ) -> Result<(f64, Vec<bool>), Apart> {
        let out = match &weight {
            Err(why) => Some((*why).clone()),
            Ok(_) if self.kept.spent => Some(SPENT.to_string()),
            Ok(_) => None,
        };
        let updates = self.progress.updates;
        let mut mine = vec![
            f64::from(u8::from(out.is_some())),
            updates as f64,
            rate.value(),
            self.progress.attempts as f64,
            weight.unwrap_or(0.0),
        ];
        let scale = self.loss_scale.as_ref().map(Persist::state).unwrap_or_default();
        let count = |name| scale.count(name).map(|count| count as f64);
        let number = |name| scale.number(name).or_else(|_| count(name)).unwrap_or(0.0);
        mine.extend(SCALE.map(number));
        let fixed = mine.len();
        mine.extend(present.iter().map(|has| f64::from(u8::from(*has))));

        let all = self.gather(mine)?;
        if let Some(why) = out {
            return Err(why.into());
        }
        if let Some(rank) = all.iter().position(|numbers| numbers[0] != 0.0) {
            return Err(format!("rank {rank} has halted").into());
        }
        for (at, what) in [(1, "is at update"), (2, "asks for a rate of")] {
            let first = all[0][at];
            if let Some(rank) = all.iter().position(|of| of[at].to_bits() != first.to_bits()) {
                let (there, here) = (all[rank][at], first);
                return Err(format!("rank {rank} {what} {there}, and rank 0 {what} {here}").into());
            }
        }
        // A rank that had more batches for this update has made more attempts.
        let attempts = all.iter().map(|of| of[3]).fold(0.0, f64::max);
        self.progress.attempts = attempts as u64;
        self.adopt_scale(&all)?;
        let has = |at: usize| all.iter().any(|of| of[fixed + at] != 0.0);
        let present = (0..present.len()).map(has).collect();
        Ok((all.iter().map(|of| of[4]).sum(), present))
    }

    /// Adopts the lowest loss scale of all ranks: a small batch that overflows on one rank lowers the scale only there.
    fn adopt_scale(&mut self, all: &[Vec<f64>]) -> Result<(), Apart> {
        let Some(scale) = &mut self.loss_scale else { return Ok(()) };
        let of = |numbers: &Vec<f64>| [5, 6, 7].map(|at| numbers[at]);
        let order =
            |a: &[f64; 3], b: &[f64; 3]| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
        let Some([value, calm, tolerated]) = all.iter().map(of).min_by(order) else {
            return Ok(());
        };
        let lowest = State::new()
            .with_number(SCALE[0], value)
            .with_count(SCALE[1], calm as u64)
            .with_count(SCALE[2], tolerated as u64);
        scale.restore(&lowest).map_err(|error| error.to_string().into())
    }

    fn keep_own(&mut self, share: Share) {
        if let Some(crew) = &mut self.crew {
            crew.own = Some((share.grads, share.loss));
        }
    }

    /// Returns the reading of the first rank, which all share except for rounding, with a fault that any of them has
    /// seen.
    fn share_reading(&mut self, reading: Result<Reading, crate::Error>) -> Result<Reading, Apart> {
        let mine = match &reading {
            Ok(now) => {
                let fault = now.fault.and_then(|fault| FAULTS.iter().position(|f| *f == fault));
                let mut mine =
                    vec![0.0, fault.map_or(0.0, |at| at as f64 + 1.0), now.loss, now.grad_norm];
                mine.extend(now.p_norms.iter().map(|(_, norm)| norm));
                let layers = now.layers.iter().chain(now.sizes.iter()).chain(now.alignments.iter());
                mine.extend(layers.map(|(_, norm)| norm));
                mine
            }
            // The ranks whose readings succeeded send longer lists, whose length isn't known here.
            Err(_) => vec![1.0],
        };
        let Some(crew) = &mut self.crew else { return Err(String::from("no ranks").into()) };
        let all = crew.ranks.gather(mine)?;
        let mut now = reading.map_err(|error| error.to_string())?;
        if let Some(rank) = all.iter().position(|of| of.first() != Some(&0.0)) {
            return Err(format!("rank {rank} has halted").into());
        }
        let layers = now.layers.len();
        let compared = 4 + now.p_norms.len() + layers;
        let expected = compared + now.sizes.len() + now.alignments.len();
        if let Some(rank) = all.iter().position(|of| of.len() != expected) {
            return Err(format!("rank {rank} has another model, or another keel").into());
        }
        let code =
            all.iter().map(|of| of[1]).filter(|code| *code > 0.0).fold(f64::INFINITY, f64::min);
        now.fault = FAULTS.get((code - 1.0) as usize).copied().filter(|_| code.is_finite());

        let first = &all[0];
        (now.loss, now.grad_norm) = (first[2], first[3]);
        let (powers, norms) = first[4..].split_at(now.p_norms.len());
        let (layers, norms) = norms.split_at(layers);
        let (sizes, alignments) = norms.split_at(now.sizes.len());
        now.p_norms.iter_mut().zip(powers).for_each(|((_, norm), first)| *norm = *first);
        now.layers = now.layers.with_norms(layers.to_vec());
        now.sizes = now.sizes.with_norms(sizes.to_vec());
        now.alignments = now.alignments.with_norms(alignments.to_vec());
        self.compare(&now, &all, compared)?;
        Ok(self.seen(now))
    }

    /// Compares the weights of the replicas, if they were measured; their norms start at `from`.
    fn compare(&mut self, now: &Reading, all: &[Vec<f64>], from: usize) -> Result<(), Apart> {
        for (at, (path, here)) in now.sizes.iter().enumerate() {
            let differs = |of: &Vec<f64>| (of[from + at] - here).abs() > SAME * here.abs();
            if let Some(rank) = all.iter().position(differs) {
                let there = all[rank][from + at];
                return Err(format!(
                    "the replicas differ: `{path}` has norm {here} on rank 0 and {there} on rank {rank}"
                )
                .into());
            }
        }
        Ok(())
    }

    /// Removes from the reading what was measured only to compare replicas.
    fn seen(&mut self, mut now: Reading) -> Reading {
        if !self.looks_at_parameters(self.progress.updates) {
            now.sizes = crate::Layers::default();
        }
        if let Some(crew) = &mut self.crew {
            crew.compared = true;
        }
        now
    }

    /// Drops this rank's gradients: the step is applied, so their origin no longer matters.
    pub(super) fn forget_own(&mut self) {
        if let Some(crew) = &mut self.crew {
            crew.own = None;
        }
    }

    /// Returns whether the replicas are still to be compared.
    pub(super) fn compares(&self) -> bool {
        self.crew.as_ref().is_some_and(|crew| !crew.compared)
    }

    /// After a fault known to all ranks, finds the ranks on which it was seen, and the likeliest origin on each.
    pub(super) fn all_culprits(
        &mut self,
        reading: &Reading,
        model: &M,
        by: &mut String,
    ) -> Result<Vec<Culprit>, Apart> {
        let Some((grads, loss)) = self.crew.as_mut().and_then(|crew| crew.own.take()) else {
            return Ok(Vec::new());
        };
        if reading.fault.is_none() {
            return Ok(Vec::new());
        }
        let loss_is_finite =
            monitor::numbers(loss).is_ok_and(|loss| loss.iter().all(|x| x.is_finite()));
        let mine = self.culprits(reading, model, &grads).into_iter().next();
        let entries = self.monitor.layout().entries();
        let index = |culprit: &Culprit| {
            let at = entries.iter().position(|entry| entry.path == culprit.path);
            at.unwrap_or_default() as f64
        };
        let part = |culprit: &Culprit| PARTS.iter().position(|part| *part == culprit.part);
        let numbers = match &mine {
            None => vec![f64::from(u8::from(!loss_is_finite)), 0.0, 0.0, 0.0, 0.0, 0.0],
            Some(culprit) => vec![
                1.0,
                part(culprit).map_or(0.0, |at| at as f64 + 1.0),
                index(culprit),
                culprit.nan as f64,
                culprit.infinite as f64,
                culprit.elements as f64,
            ],
        };
        let all = self.gather(numbers)?;
        let saw = |(rank, of): (usize, &Vec<f64>)| (of[0] != 0.0).then(|| rank.to_string());
        let saw: Vec<String> = all.iter().enumerate().filter_map(saw).collect();
        match saw.as_slice() {
            [] => {}
            [rank] => *by += &format!(", on rank {rank}"),
            ranks => *by += &format!(", on ranks {}", ranks.join(", ")),
        }
        let entries = self.monitor.layout().entries();
        let culprit = |of: &Vec<f64>| {
            let part = *PARTS.get((of[1] as usize).checked_sub(1)?)?;
            let path = entries.get(of[2] as usize)?.path.clone();
            Some(Culprit::new(path, part, [of[3], of[4], of[5]].map(|n| n as usize)))
        };
        let mut culprits: Vec<Culprit> = all.iter().filter_map(culprit).collect();
        culprits.sort_by_key(|culprit| PARTS.iter().position(|part| *part == culprit.part));
        culprits.dedup();
        Ok(culprits)
    }
}

/// Names of a loss scale's numbers.
const SCALE: [&str; 3] = ["value", "calm", "tolerated"];
