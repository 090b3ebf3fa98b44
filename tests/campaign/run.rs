//! One case, step by step, beside a twin that never sees a rejected batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Device, Tensor};
use evenkeel::checkpoint::{Checkpoint, Persist};
use evenkeel::faults::Injector;
use evenkeel::schedule::{Schedule, Scheduler};
use evenkeel::{Fault, Halted, Keel, Report, Stepped, Verdict, tie};

use crate::case::{Case, Judge, Tiny};
use crate::common::{Batch, bits};

type Bits = Vec<(String, Vec<u64>)>;

/// What happened, and how often.
#[derive(Default)]
pub struct Tally {
    pub events: BTreeMap<String, u64>,
}

impl Tally {
    pub fn count(&mut self, event: &str) {
        *self.events.entry(event.to_string()).or_default() += 1;
    }
}

/// A run: a loop with all that belongs to it.
pub struct Run<'a> {
    pub case: &'a Case,
    pub keel: Keel<Tiny>,
    pub net: Tiny,
    pub rates: Option<Scheduler<Arc<dyn Schedule + Send + Sync>>>,
}

/// What two runs are compared by after every update.
#[derive(PartialEq)]
pub struct State {
    net: Bits,
    average: Option<Bits>,
    updates: u64,
    position: Option<u64>,
    rate: Option<u64>,
}

impl State {
    pub fn difference(&self, other: &Self) -> String {
        let net = self.net.iter().zip(&other.net).find(|(a, b)| a != b);
        match net {
            Some(((path, _), _)) => format!("`{path}`"),
            None if self.average != other.average => "the average".into(),
            None if self.updates != other.updates => "the count of updates".into(),
            None => "the schedule".into(),
        }
    }

    pub fn poisoned(&self) -> Option<&str> {
        let all = self.net.iter().chain(self.average.iter().flatten());
        let bad = |bits: &[u64]| bits.iter().any(|b| !f64::from_bits(*b).is_finite());
        all.into_iter().find(|(_, bits)| bad(bits)).map(|(path, _)| path.as_str())
    }
}

/// The batches of one step that were taken in, and whether one may have moved the loss scale: that is
/// what a loss scale is for, and not a trace.
#[derive(Default)]
pub struct Window {
    pub accepted: Vec<u64>,
    /// What was read late.
    pub late: Vec<Report>,
    overflowed: bool,
    rejected: u64,
}

impl<'a> Run<'a> {
    pub fn new(case: &'a Case, net: Tiny) -> Self {
        let keel = case.keel(&net);
        let rates = case.schedule().map(|curve| curve.start());
        Self { case, keel, net, rates }
    }

    pub fn state(&self) -> State {
        State {
            net: bits(&self.net),
            average: self.keel.averaged(&self.net).map(|average| bits(&average)),
            updates: self.keel.updates(),
            position: self.rates.as_ref().map(Scheduler::position),
            rate: self.rates.as_ref().map(|rates| rates.peek().to_bits()),
        }
    }

    fn backward(&self, batch: u64, faults: &mut Injector) -> (Tensor<1>, GradientsParams) {
        let device = self.net.last.weight.val().device();
        let mut data = Batch::number(faults.batch_at(batch), &device);
        data.x = faults.batch(batch, data.x).cast(self.case.dtype);
        data.y = data.y.cast(self.case.dtype);
        let loss = faults.loss(batch, self.net.loss(data));
        let scaled = loss.clone().mul_scalar(self.keel.loss_scale());
        let grads = GradientsParams::from_grads(scaled.backward(), &self.net);
        (loss, faults.gradients(batch, &self.net, grads).unwrap())
    }

    /// One step over these batches.
    pub fn step(
        &mut self,
        batches: &[u64],
        faults: &mut Injector,
    ) -> (Result<Report, Halted<Tiny>>, Window) {
        let mut window = Window::default();
        let plain = self.case.plain(batches[0] / self.case.micro);
        if let Some(frozen) = self.case.is_frozen(self.keel.updates()) {
            self.net = self.net.clone().frozen(frozen);
        }
        let outcome = if self.case.micro == 1 {
            let (loss, grads) = self.backward(batches[0], faults);
            window.accepted = batches.to_vec();
            let net = self.net.clone();
            match &mut self.rates {
                Some(rates) => self.keel.step(rates.step(), net, grads, &loss),
                None => self.keel.step(plain, net, grads, &loss),
            }
        } else {
            for &batch in batches {
                let (loss, grads) = self.backward(batch, faults);
                let report = self.keel.accumulate(&self.net, grads, &loss).unwrap();
                match report.is_applied() {
                    true => window.accepted.push(batch),
                    false => {
                        window.rejected += 1;
                        window.overflowed |= overflowed(self.case, &report);
                    }
                }
            }
            let net = self.net.clone();
            match &mut self.rates {
                Some(rates) => self.keel.step_accumulated(rates.step(), net),
                None => self.keel.step_accumulated(plain, net),
            }
        };
        let told = outcome.map(|Stepped { model, report, late, .. }| {
            self.net = model;
            window.late = late;
            report
        });
        if let Err(halted) = &told {
            window.late = halted.late().to_vec();
        }
        if let Ok(report) = &told {
            window.overflowed |= overflowed(self.case, report);
        }
        (told, window)
    }

    /// Everything built anew from what was saved, and damaged on the way: refused, or sound.
    fn resumed_from_damaged(&self, at: u64) -> Result<(), String> {
        let text = |e: evenkeel::Error| format!("resuming: {e}");
        let saved = self.keel.checkpoint(&self.net).map_err(text)?;
        let mut bytes = saved.into_bytes().map_err(text)?;
        let (head, pack) = bytes.split_at_mut(16);
        let place = (at % pack.len() as u64) as usize;
        pack[place] ^= 1 << (at >> 32 & 7);
        head[12..].copy_from_slice(&crc32fast::hash(pack).to_le_bytes());
        let Ok(saved) = Checkpoint::from_bytes(&bytes) else { return Ok(()) };
        let device = self.net.last.weight.val().device();
        let mut fresh = Self::new(self.case, Tiny::new(self.case, 3, &device));
        if let Ok(net) = fresh.keel.resume(&fresh.net, &saved) {
            fresh.net = net;
            if let Some(path) = fresh.state().poisoned() {
                return Err(format!("`{path}` is poisoned by a damaged checkpoint"));
            }
        }
        Ok(())
    }

    /// The same with other settings.
    fn changed(&self, case: &'a Case, seed: u64) -> Result<Self, String> {
        let text = |e: evenkeel::Error| format!("resuming with other settings: {e}");
        let mut saved = self.keel.checkpoint(&self.net).map_err(text)?;
        if let Some(rates) = &self.rates {
            saved = saved.with("rates", rates).map_err(text)?;
        }
        let device = self.net.last.weight.val().device();
        let mut fresh = Self::new(case, Tiny::new(case, seed, &device));
        let mut beside: Vec<(&str, &mut dyn Persist)> = Vec::new();
        if let Some(rates) = &mut fresh.rates {
            beside.push(("rates", rates));
        }
        fresh.keel.allow_other_policies();
        fresh.net = fresh.keel.resume_with(&fresh.net, &saved, &mut beside).map_err(text)?;
        match fresh.state() == self.state() {
            true => Ok(fresh),
            false => Err("resumed with other settings, and other bits".into()),
        }
    }

    /// Everything built anew from what was saved.
    fn resumed(&self, seed: u64) -> Result<Self, String> {
        let text = |e: evenkeel::Error| format!("resuming: {e}");
        let mut saved = self.keel.checkpoint(&self.net).map_err(text)?;
        if let Some(rates) = &self.rates {
            saved = saved.with("rates", rates).map_err(text)?;
        }
        let bytes = saved.into_bytes().map_err(text)?;
        let saved = Checkpoint::from_bytes(&bytes).map_err(text)?;
        let device = self.net.last.weight.val().device();
        let mut fresh = Self::new(self.case, Tiny::new(self.case, seed, &device));
        let mut beside: Vec<(&str, &mut dyn Persist)> = Vec::new();
        if let Some(rates) = &mut fresh.rates {
            beside.push(("rates", rates));
        }
        fresh.net = fresh.keel.resume_with(&fresh.net, &saved, &mut beside).map_err(text)?;
        let again = fresh.keel.checkpoint(&fresh.net).map_err(text)?;
        let differences = again.differences(&self.keel.checkpoint(&self.net).map_err(text)?);
        match differences.is_empty() && fresh.state() == self.state() {
            true => Ok(fresh),
            false => Err(format!("resumed with other bits: {differences:?}")),
        }
    }
}

fn overflowed(case: &Case, report: &Report) -> bool {
    let fault = report.reading.fault == Some(Fault::Gradient);
    case.loss_scale.is_some() && fault && report.reading.loss.is_finite()
}

/// Whether the loss scale has answered for it.
fn is_excused(report: &Report) -> bool {
    report.by.as_deref().is_some_and(|by| by.starts_with("overflow at loss scale"))
}

/// A guard's own count of rejections is about them, and is not a trace of the batch.
fn is_trace(name: &str, case: &Case) -> bool {
    let escalates = case.guards.iter().any(|guard| matches!(guard, Judge::Escalating { .. }));
    // What a guard has rejected is counted, like the keel's own rejections.
    let counts = name.contains(".allowance.");
    !(name.ends_with("attempts") || counts || escalates && name.ends_with(".calm"))
}

/// Everything is as it was at the update that the report says; which one that is.
fn went_back(
    report: &Report,
    now: &State,
    run: &Run,
    history: &BTreeMap<u64, (State, Checkpoint)>,
    changed: Option<u64>,
) -> Result<u64, String> {
    let Some(rewound) = report.rewound else {
        return Err("a rewind without saying where to".into());
    };
    let Some((then, saved)) = history.get(&rewound.to) else {
        return Err(format!("rewound to update {}, which never was", rewound.to));
    };
    let same = now.net == then.net && now.average == then.average;
    let moved = now.position == then.position && now.updates == then.updates;
    if !(same && moved) {
        let what = now.difference(then);
        return Err(format!("rewound to {}, but for {what}", rewound.to));
    }
    let mut differ = run.keel.checkpoint(&run.net).map_err(|e| e.to_string())?.differences(saved);
    // What the policies remember too, but for counts of how often they were not heard.
    let kept = |name: &str| {
        let counts = [".allowance.", ".skipped", ".rewound", ".calm", ".since"];
        name.starts_with("keel.memory") && !counts.iter().any(|count| name.contains(count))
    };
    // Of policies that were not there then nothing is known.
    let known = changed.is_none_or(|at| rewound.to > at);
    differ.retain(|name| name.starts_with("keel.optimizer") || (known && kept(name)));
    match differ.is_empty() {
        true => Ok(rewound.to),
        false => Err(format!("rewound to {}, but for {differ:?}", rewound.to)),
    }
}

pub fn run(case: &Case) -> Result<Tally, String> {
    let device = Device::flex().autodiff();
    let mut tally = Tally::default();
    let start = Tiny::new(case, 0, &device);
    let other = case.continued(case.steps);
    let (mut case, mut changed) = (case, None);
    // The same ids, and no shared statistics.
    let mut twin = Run::new(case, tie(start.valid().train()));
    let mut run = Run::new(case, start);
    let mut faults = case.faults.clone();
    // What the weights were before each update, on the way that was not abandoned.
    let text = |e: evenkeel::Error| e.to_string();
    let first = (run.state(), run.keel.checkpoint(&run.net).map_err(text)?);
    let mut history: BTreeMap<u64, (State, Checkpoint)> = BTreeMap::from([(0, first)]);
    let (mut skips, mut rejections, mut halts) = (0, 0, 0);

    for at in 0..case.steps {
        if case.stop == Some(at) {
            if let Some(place) = case.damaged {
                run.resumed_from_damaged(place)?;
                tally.count("resumed from what is damaged");
            }
            run = run.resumed(7 + at)?;
            tally.count("resumed");
            if case.changed {
                (case, changed) = (&other, Some(run.keel.updates()));
                run = run.changed(case, 9 + at)?;
                twin = run.resumed(11 + at)?;
                (skips, rejections) = (0, 0);
                tally.count("resumed with other settings");
            }
        }
        let before = run.state();
        let batches: Vec<u64> = (at * case.micro..(at + 1) * case.micro).collect();
        let (told, window) = run.step(&batches, &mut faults);
        (0..window.rejected).for_each(|_| tally.count("micro-batch rejected"));
        if window.overflowed {
            tally.count("overflow under a loss scale");
        }
        let failed = |what: String| Err(format!("step {at}: {what}"));
        let mut in_step = !window.overflowed;

        let halted = told.is_err();
        let report = match told {
            Ok(report) => report,
            Err(halted) => {
                let report = halted.report().clone();
                run.net = halted.into_model();
                report
            }
        };
        if halted != (report.verdict == Verdict::Halt) {
            return failed(format!("returned as {}", report.verdict));
        }
        let now = run.state();
        if let Some(path) = now.poisoned() {
            return failed(format!("`{path}` is poisoned: {report}"));
        }
        if let Some(by) = &report.by {
            let first = by.split([',', ' ']).next().unwrap_or_default();
            let name = match first {
                "non-finite" => "NonFinite",
                "overflow" => "LossScale",
                // The name of whatever has none of its own.
                "guard" => "a closure",
                name => name,
            };
            tally.count(&format!("by {name}"));
        }
        if report.reading.fault == Some(Fault::Update) {
            tally.count("updates taken back");
        }
        if report.is_applied() {
            let events = [
                (case.tied, "tied"),
                (case.is_frozen(before.updates) == Some(true), "frozen"),
                (case.dtype != DType::F32 && !case.master, "in half precision"),
                (case.dtype != DType::F32 && case.master, "with weights behind it"),
                (case.around.is_some(), "wrapped"),
                (report.is_held(), "held"),
                (case.odd_rates.iter().any(|(step, _)| *step == at), "at an odd rate"),
            ];
            events
                .iter()
                .filter(|(is, _)| *is)
                .for_each(|(_, what)| tally.count(&format!("applied {what}")));
        }
        if report.is_clipped() {
            tally.count("clipped");
        }
        let counted = !is_excused(&report);
        match report.verdict {
            Verdict::Apply => {
                tally.count("applied");
                (skips, rejections) = (0, 0);
                if now.updates != before.updates + 1 {
                    return failed("an applied update was not counted".into());
                }
                let saved = run.keel.checkpoint(&run.net).map_err(text)?;
                if in_step {
                    let (twin_told, _) = twin.step(&window.accepted, &mut case.faults.clone());
                    let twin_report = match twin_told {
                        Ok(report) => report,
                        Err(halted) => halted.report().clone(),
                    };
                    let clean = twin.state();
                    if clean != now {
                        let what = now.difference(&clean);
                        return failed(format!("a trace in {what}: {report}; twin: {twin_report}"));
                    }
                    if clean.average.is_some() {
                        tally.count("averages compared");
                    }
                    let same = report.factor.to_bits() == twin_report.factor.to_bits();
                    if !same {
                        return failed(format!("another factor: {report}; twin: {twin_report}"));
                    }
                    let clean = twin.keel.checkpoint(&twin.net).map_err(text)?;
                    let mut differ = saved.differences(&clean);
                    differ.retain(|name| is_trace(name, case));
                    if !differ.is_empty() {
                        return failed(format!("a trace in {differ:?}"));
                    }
                    tally.count("checkpoints compared");
                }
                history.insert(now.updates, (now, saved));
            }
            Verdict::Skip => {
                tally.count("skipped");
                skips += u64::from(counted);
                rejections += u64::from(counted);
                if now != before {
                    return failed(format!("the skip left a trace in {}", now.difference(&before)));
                }
                if skips > case.skips_at_most {
                    return failed(format!("{skips} skips in a row"));
                }
            }
            Verdict::Rewind => {
                tally.count("rewound");
                skips = 0;
                rejections += 1;
                in_step = false;
                let to = went_back(&report, &now, &run, &history, changed)
                    .map_err(|what| format!("step {at}: {what}"))?;
                history.retain(|update, _| *update <= to);
            }
            Verdict::Halt => {
                tally.count("halted");
                (skips, rejections) = (0, 0);
                in_step = false;
                halts += 1;
                if report.rewound.is_some() {
                    // With the best it has, which was not the last.
                    tally.count("halted at a snapshot");
                    let to = went_back(&report, &now, &run, &history, changed)
                        .map_err(|what| format!("step {at}: {what}"))?;
                    history.retain(|update, _| *update <= to);
                } else if now != before {
                    return failed(format!("the halt left a trace in {}", now.difference(&before)));
                }
            }
        }
        if rejections > (case.skips_at_most + 1) * (case.rewinds_at_most + 1) {
            return failed(format!("{rejections} rejections in a row"));
        }
        if !in_step {
            // After a halt an optimizer may be lost; it then says so, and the run is over.
            if halts > 1 || (halts > 0 && run.keel.checkpoint(&run.net).is_err()) {
                break;
            }
            twin = run.resumed(50 + at).map_err(|e| format!("step {at}: {e}"))?;
        }
    }
    (0..faults.log().len()).for_each(|_| tally.count("injected"));
    Ok(tally)
}
