//! Reading a sample, and the numbers that follow from it.

use burn::module::{Module, ParamId};

use super::look::{After, Compared, What};
use super::parts::Parts;
use super::{Memory, Observation, Tally, Watch};
use crate::report::is_under;
use crate::{Error, Report};

impl Watch {
    /// Reads the pending sample, with the model as it is now; `updated` says whether there was an update.
    pub(super) fn read<M: Module>(
        &mut self,
        after: &M,
        updated: bool,
        report: Option<&Report>,
    ) -> Result<Option<Observation>, Error> {
        let Some((look, paths)) = self.pending.take() else { return Ok(None) };
        if let Some(error) = self.unfit.take() {
            return Err(error);
        }
        // The moments are not held longer than the sample, whatever the verdict on the step.
        let moments = std::mem::take(&mut self.moments);
        // An optimizer has no second moments before its first update.
        self.has_moments = !moments.is_empty() || (self.has_moments && !updated);
        let past = self.directions.map(|over| {
            let begun = self.memory.iter().filter(|(_, memory)| memory.samples > 0);
            let begun = begun.map(|(id, _)| *id).collect();
            Compared { past: &mut self.past, begun, full: self.count + 1 >= over }
        });
        let places = look.ids.iter().enumerate().map(|(at, id)| (*id, at)).collect();
        let mut visit = After { look, updated, moments, past, places };
        after.visit(&mut visit);
        let look = visit.look;
        self.readbacks += 1;
        let read = look.sums.read_folded();
        self.room.parameters = look.parameters.copies;
        let (sums, window) = match read {
            Ok(read) => read,
            Err(error) => {
                self.begin_anew();
                return Err(error);
            }
        };
        let (known, early): (Vec<What>, Vec<f64>) = look.known.into_iter().unzip();
        let (what, sums) = ([known, look.what].concat(), [early, sums].concat());
        let parts = self.parts(&what, &look.elements, &look.ids, &sums, updated);
        let factor = report.map_or(1.0, |report| report.factor);
        let parts: Vec<Parts> = parts.into_iter().map(|part| part.seen_times(factor)).collect();

        let mut seen = Observation::new(self.steps - 1);
        let all = parts.iter().copied().reduce(Parts::plus).unwrap_or_default();
        all.tell("", &mut seen);
        for group in &self.groups {
            let of = look.ids.iter().zip(&parts);
            let of = of.filter(|(id, _)| is_under(paths.path(**id), group)).map(|(_, part)| *part);
            if let Some(sum) = of.reduce(Parts::plus) {
                sum.tell(&format!("/{group}"), &mut seen);
            }
        }
        for (id, part) in look.ids.iter().zip(&parts).filter(|_| self.layers) {
            part.tell(&format!("/{}", paths.path(*id)), &mut seen);
        }
        if let Some(report) = report {
            self.tell_of_the_step(report, &mut seen);
        }
        for (what, value) in what.iter().zip(&sums) {
            if let What::Value(at) = *what
                && let Some(name) = look.values.get(at)
            {
                seen.push(name, *value);
            }
        }
        let numbers = what.iter().zip(&sums).filter(|(what, _)| **what == What::Activation);
        let mut numbers = numbers.map(|(_, number)| *number);
        look.activations.iter().for_each(|facts| facts.tell(&mut numbers, &mut seen));
        let mut gone = look.gradients;
        if updated && self.directions.is_some() {
            self.past.window = window;
            match all.gradient.is_finite() {
                true => {
                    std::mem::swap(&mut self.past.gradients, &mut gone);
                    self.remember(look.ids, &parts);
                }
                // The sums over the window already include the non-finite gradient.
                false => self.begin_anew(),
            }
        }
        self.room.gradients = gone.copies;
        Ok(Some(seen))
    }

    /// Restarts the window; the buffers of its sums are reused.
    fn begin_anew(&mut self) {
        self.count = 0;
        for memory in self.memory.values_mut() {
            (memory.squares, memory.samples) = (0.0, 0);
        }
    }

    /// Returns the sums of each parameter.
    fn parts(
        &self,
        what: &[What],
        elements: &[usize],
        ids: &[ParamId],
        sums: &[f64],
        updated: bool,
    ) -> Vec<Parts> {
        let update = updated.then_some(0.0);
        let part =
            |&elements: &usize| Parts { elements: elements as f64, update, ..Parts::default() };
        let mut parts: Vec<Parts> = elements.iter().map(part).collect();
        for (what, &sum) in what.iter().zip(sums) {
            let known = |at: usize| self.memory.get(&ids[at]).copied().unwrap_or_default();
            match *what {
                What::Gradient(at) => parts[at].gradient = sum,
                What::Parameter(at) => parts[at].parameter = sum,
                What::Update(at) => parts[at].update = Some(sum),
                What::Zeros(at) => parts[at].zeros = sum,
                What::Broken(at) => parts[at].broken = sum,
                What::Product(at) => parts[at].before = Some((sum, known(at).last)),
                // `Ratio` and `Moment` come together, in this order.
                What::Ratio(at) => parts[at].moment = Some((sum, 0.0)),
                What::Moment(at) => {
                    parts[at].moment = parts[at].moment.map(|(ratio, _)| (ratio, sum));
                }
                // `Gradient` comes before `Window`.
                What::Window(at) => {
                    let Memory { squares, samples, .. } = known(at);
                    let squares = squares + parts[at].gradient;
                    parts[at].window = Some((samples as f64 + 1.0, sum, squares));
                }
                What::Value(_) | What::Activation => {}
            }
        }
        parts
    }

    fn tell_of_the_step(&mut self, report: &Report, seen: &mut Observation) {
        seen.push("lr", report.reading.lr);
        if !report.pending {
            seen.push("factor", report.factor);
            seen.push("effective_lr", report.rate() * report.factor);
        }
        let Tally { applied, clipped, rejected } = std::mem::take(&mut self.tally);
        if applied > 0 {
            seen.push("clip_rate", clipped as f64 / applied as f64);
        }
        if applied + rejected > 0 {
            seen.push("skip_rate", rejected as f64 / (applied + rejected) as f64);
        }
    }

    /// Adds a sample to the memory of directions.
    fn remember(&mut self, ids: Vec<ParamId>, parts: &[Parts]) {
        let old = std::mem::take(&mut self.memory);
        self.count += 1;
        let full = self.directions.is_some_and(|over| self.count >= over);
        if full {
            self.count = 0;
        }
        for (id, part) in ids.into_iter().zip(parts) {
            let before = old.get(&id).copied().unwrap_or_default();
            let (squares, samples) = match full {
                true => (0.0, 0),
                false => (before.squares + part.gradient, before.samples + 1),
            };
            self.memory.insert(id, Memory { last: part.gradient, squares, samples });
        }
    }
}
