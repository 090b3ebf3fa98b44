//! Verdicts, clipping factors and rates, from plain numbers.

use burn::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::module::{Module, ParamGroup, ParamId};

use super::Keel;
use super::rates::Held;
use crate::monitor::Entry;
use crate::optim::StepArgs;
use crate::schedule::Rate;
use crate::{Culprit, Fault, Part, Reading, Verdict};

/// A verdict, and what asked for it.
pub(super) struct Ruling {
    pub(super) verdict: Verdict,
    pub(super) by: String,
    /// Whether it counts among the rejections in a row.
    pub(super) counts: bool,
}

/// Limits a factor to what a clip may ask for.
fn sane(factor: f64) -> f64 {
    match factor.is_nan() {
        true => 0.0,
        false => factor.clamp(0.0, 1.0),
    }
}

impl<M: Module + 'static> Keel<M> {
    /// Returns the most severe verdict, and the first guard that gave it. `NonFinite` is always the first guard.
    pub(super) fn judge(&self, now: &Reading) -> Ruling {
        self.judge_by(now, 0)
    }

    /// Returns the verdict without `NonFinite`, whose verdict is known.
    pub(super) fn judge_by_others(&self, now: &Reading) -> Ruling {
        self.judge_by(now, 1)
    }

    fn judge_by(&self, now: &Reading, from: usize) -> Ruling {
        let mut ruling = Ruling { verdict: Verdict::Apply, by: String::new(), counts: true };
        for (at, guard) in self.guards.iter().enumerate().skip(from) {
            let verdict = guard.judge(now);
            if verdict > ruling.verdict {
                ruling.verdict = verdict;
                ruling.by = match (at, now.fault) {
                    (0, Some(fault)) => fault.to_string(),
                    _ => guard.name().to_string(),
                };
            }
        }
        ruling
    }

    /// Turns an overflow that a lower loss scale answers into a skip that doesn't count among the rejections in a row.
    pub(super) fn excuse(&mut self, now: &Reading) -> Option<Ruling> {
        let overflow = now.fault == Some(Fault::Gradient) && now.loss.is_finite();
        let scale = self.loss_scale.as_mut().filter(|_| overflow)?;
        let before = scale.value();
        if !scale.overflowed() {
            return None;
        }
        let by = format!("overflow at loss scale {before}");
        let others = self.judge_by_others(now);
        Some(match others.verdict > Verdict::Skip {
            true => others,
            false => Ruling { verdict: Verdict::Skip, by, counts: false },
        })
    }

    /// Makes a rejection more severe once its bound is used up. `elsewhere` says that a snapshot differs from the
    /// present state even if it is of the same update.
    pub(super) fn escalate(&mut self, ruling: Ruling, elsewhere: bool) -> Ruling {
        if !ruling.counts {
            return ruling;
        }
        self.progress.rejected += 1;
        let Ruling { mut verdict, mut by, counts } = ruling;
        let worn_out =
            verdict == Verdict::Skip && self.progress.rejected > self.limits.skips_at_most;
        if worn_out {
            verdict = Verdict::Rewind;
            by += &format!(", {} steps in a row", self.progress.rejected);
        }
        if verdict == Verdict::Rewind {
            match self.limits.rewind {
                None => {
                    verdict = Verdict::Halt;
                    if !worn_out {
                        by += ", and there is no snapshot to rewind to";
                    }
                }
                Some(rewind) if self.progress.rewinds >= rewind.at_most => {
                    verdict = Verdict::Halt;
                    by += &format!(", after {} rewinds", self.progress.rewinds);
                }
                // With the same weights, nothing would be different.
                Some(rewind) if !elsewhere => {
                    let updates = self.progress.updates;
                    if self.ring.peek(updates, rewind.age).is_some_and(|(to, _)| to == updates) {
                        verdict = Verdict::Halt;
                        by += ", and the only snapshot is of these weights";
                    }
                }
                Some(_) => {}
            }
        }
        Ruling { verdict, by, counts }
    }

    /// Returns whether going back to a snapshot of the same update changes anything: the optimizer is lost, the rate
    /// made the update fail and will be lower, or the weights were broken from outside.
    pub(super) fn differs_from_snapshot(&self, now: &Reading, culprits: &[Culprit]) -> bool {
        self.kept.spent
            || matches!(now.fault, Some(Fault::Update | Fault::Parameter | Fault::Optimizer))
            || culprits.iter().any(|culprit| culprit.part == Part::Parameter)
    }

    /// Returns the smallest factor of all clips.
    pub(super) fn factor(&self, now: &Reading) -> f64 {
        self.clips.iter().map(|clip| sane(clip.factor(now))).fold(1.0, f64::min)
    }

    /// Returns what is left of each parameter's gradient as a share of `factor`, which is left of all of them, in the
    /// order of the layers; `None` if no clip asks for less.
    pub(super) fn layer_shares(&self, now: &Reading, factor: f64) -> Option<Vec<f64>> {
        let mut least = vec![factor; now.layers.len()];
        for factors in self.clips.iter().map(|clip| clip.layer_factors(now)) {
            if !factors.is_empty() && factors.len() != least.len() {
                least.fill(0.0);
            }
            least.iter_mut().zip(factors).for_each(|(least, of)| *least = least.min(sane(of)));
        }
        // If the factor for all is 0, no layer's factor is below it.
        let less = least.iter().any(|&of| of < factor);
        less.then(|| least.iter().map(|of| of / factor).collect())
    }

    /// Returns the factor on a rate: a schedule has its own backoff, a plain rate has the keel's.
    pub(super) fn gain(&self, rate: &Rate<'_>) -> f64 {
        match rate.position() {
            Some(_) => 1.0,
            None => self.progress.backoff.at(self.progress.updates),
        }
    }

    /// Sets the rate of the step in the reading, backoff included. A rate that is not finite, of any group, is a fault.
    pub(super) fn rated(&self, reading: Reading, rate: &Rate<'_>) -> Reading {
        let gain = self.gain(rate);
        let mut reading = reading.with_lr(rate.value() * gain);
        let groups = rate.groups().map(|groups| self.each_rate(groups)).unwrap_or_default();
        if groups.iter().any(|(_, lr)| !(lr * gain).is_finite()) {
            reading.fault = reading.fault.or(Some(Fault::Rate));
        }
        reading
    }

    /// Applies the bounds to the rate, after all clips together have left `factor` of the gradient. The limit applies
    /// to the peak of the schedule, so that its shape is kept: `min(peak, cap)·asked/peak`.
    pub(super) fn held(&self, rate: &Rate<'_>, now: &Reading, factor: f64) -> Held {
        if self.bounds.is_empty() {
            return Held { share: 1.0, cap: None, asked: 0.0 };
        }
        let asked = self.asked(rate);
        let caps = self.bounds.iter().filter_map(|bound| bound.rate_at_most(now, factor));
        // NaN counts as 0 too.
        let cap = caps.map(|cap| cap.max(0.0)).reduce(f64::min);
        let peak = self.highest().max(asked);
        let share = cap.filter(|cap| peak > *cap).map_or(1.0, |cap| cap / peak);
        Held { share, cap, asked }
    }

    /// Returns the highest rate of the schedule and of the updates so far.
    fn highest(&self) -> f64 {
        self.peak.unwrap_or(0.0).max(self.progress.highest)
    }

    /// Returns the highest rate of any group, before backoff by the keel.
    fn asked(&self, rate: &Rate<'_>) -> f64 {
        let rates = rate.groups().map(|groups| self.each_rate(groups)).unwrap_or_default();
        let rates = rates.into_iter().map(|(_, lr)| lr.abs());
        rates.chain([rate.value().abs()]).fold(0.0, f64::max)
    }

    /// Finds, once, the highest rate of the schedule.
    pub(super) fn note_peak(&mut self, rate: &Rate<'_>) {
        if self.peak.is_none() && !self.bounds.is_empty() {
            self.peak = Some(rate.peak().unwrap_or(0.0));
        }
    }

    /// Records that an update was made at this rate.
    pub(super) fn note_rate(&mut self, held: Held) {
        if !self.bounds.is_empty() {
            self.progress.highest = self.progress.highest.max(held.asked);
            self.rates.push(self.highest(), held);
        }
    }

    /// Returns the rate of each parameter.
    fn each_rate(&self, groups: &ModuleLearningRate) -> Vec<(ParamId, f64)> {
        let entries = self.monitor.layout().entries().iter();
        let rate = |entry: &Entry| groups.lr_from_param(entry.id, Some(&entry.path));
        entries.map(|entry| (entry.id, rate(entry))).collect()
    }

    /// Returns the optimizer's settings for the step; `share` is the share of the rate that is left.
    pub(super) fn args(
        &self,
        rate: &Rate<'_>,
        share: f64,
        factor: f64,
        grad_norm: f64,
    ) -> StepArgs {
        let gain = self.gain(rate) * share;
        let args = StepArgs::new(rate.value() * gain, factor, grad_norm);
        let Some(groups) = rate.groups() else { return args };
        // Burn's rates by group can be looked up, but not listed or scaled, so each parameter gets its own group.
        let rates = self.each_rate(groups);
        let values = || rates.iter().map(|(_, lr)| *lr * gain);
        let lowest = values().fold(f64::INFINITY, f64::min);
        let highest = values().fold(f64::NEG_INFINITY, f64::max);
        if gain == 1.0 {
            return args.with_rates(groups.clone(), lowest, highest);
        }
        let base = ModuleLrScheduler::new(groups.base() * gain);
        let mut scaled = rates
            .into_iter()
            .fold(base, |all, (id, lr)| all.with_group(ParamGroup::from_ids(vec![id]), lr * gain));
        args.with_rates(scaled.step(), lowest, highest)
    }
}
