//! Jobs that other cores run while the rest are still being collected.

#[cfg(feature = "flex")]
mod batch;

#[cfg(feature = "cube")]
use super::cube;
#[cfg(feature = "flex")]
use super::flex;
use super::{Done, Job, Shared};
#[cfg(feature = "flex")]
use batch::Batch;

/// The jobs of one update.
///
/// Taking a tensor out of a module costs about as much as updating one of a few thousand elements, and putting it back
/// as much again. Only one core can walk over the module, so the others update in the meantime: whenever there are
/// enough jobs, they are handed over. If no core has started them by the time their results are needed, the caller runs
/// them.
#[derive(Default)]
pub(crate) struct Queue {
    #[cfg(feature = "flex")]
    handed: Vec<Batch>,
    open: Vec<Job>,
    /// The number of elements in the open jobs that a kernel on the host can run.
    #[cfg(feature = "flex")]
    elements: usize,
}

impl Queue {
    /// Adds a job, which may start at once.
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

    /// Returns the results of the jobs, in order; each is waited for only when it is requested.
    pub(crate) fn finish(self) -> impl Iterator<Item = Done> {
        let shared = Shared::default();
        #[cfg_attr(not(feature = "flex"), allow(unused_mut))]
        let mut open = self.open;
        #[cfg(feature = "flex")]
        open.iter_mut().for_each(flex::step);
        #[cfg(feature = "cube")]
        let open = cube::run(&shared.tables, open).into_iter();
        #[cfg(not(feature = "cube"))]
        let open = open.into_iter().map(Err);
        #[cfg(feature = "flex")]
        let open = self.handed.into_iter().flat_map(Batch::done).map(Err).chain(open);
        open.map(move |job: Result<Done, Job>| job.unwrap_or_else(|job| job.finish(&shared)))
    }
}
