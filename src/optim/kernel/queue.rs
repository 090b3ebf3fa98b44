//! Jobs that are done by other cores while the rest are still being collected.

#[cfg(feature = "flex")]
mod batch;

#[cfg(feature = "flex")]
use super::flex;
use super::{Done, Job, Shared};
#[cfg(feature = "flex")]
use batch::Batch;

/// The jobs of one update.
///
/// Taking a tensor out of a module costs about as much as updating one of a few thousand elements, and
/// putting it back as much again. Only one core can walk over the module, so the others update meanwhile:
/// whenever enough jobs have come together they are handed over, and whoever wants the outcome of those
/// that nobody has begun with does them.
#[derive(Default)]
pub(crate) struct Queue {
    #[cfg(feature = "flex")]
    handed: Vec<Batch>,
    open: Vec<Job>,
    /// The elements of the open jobs that a kernel on the host can do.
    #[cfg(feature = "flex")]
    elements: usize,
}

impl Queue {
    /// Adds a job, which may begin at once.
    pub(crate) fn push(&mut self, job: Job) {
        #[cfg(feature = "flex")]
        let more = flex::elements(&job).unwrap_or(0);
        self.open.push(job);
        #[cfg(feature = "flex")]
        {
            self.elements += more;
            if self.elements >= flex::ALONE {
                let room = Vec::with_capacity(self.open.len());
                self.handed.push(Batch::begin(std::mem::replace(&mut self.open, room)));
                self.elements = 0;
            }
        }
    }

    /// What comes of the jobs, in their order; to be waited for where it is asked for.
    pub(crate) fn finish(self) -> impl Iterator<Item = Done> {
        let shared = Shared::default();
        let jobs = self.open;
        #[cfg(feature = "flex")]
        let jobs = {
            let mut open = jobs;
            open.iter_mut().for_each(flex::step);
            self.handed.into_iter().flat_map(Batch::done).chain(open)
        };
        #[cfg(not(feature = "flex"))]
        let jobs = jobs.into_iter();
        jobs.map(move |job| job.finish(&shared))
    }
}
