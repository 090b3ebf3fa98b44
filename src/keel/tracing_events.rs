//! Events for the `tracing` crate.

use burn::module::Module;

use super::Keel;
use crate::{Halted, Report, Stepped};

impl<M: Module + 'static> Keel<M> {
    /// Ends every step, whatever its outcome.
    pub(super) fn finished(
        &self,
        result: Result<Stepped<M>, Halted<M>>,
    ) -> Result<Stepped<M>, Halted<M>> {
        self.seed_forward(match &result {
            Ok(stepped) => &stepped.model,
            Err(halted) => halted.model(),
        });
        told(result)
    }
}

/// Passes on the result of a step, and emits an event for every report in it.
fn told<M>(result: Result<Stepped<M>, Halted<M>>) -> Result<Stepped<M>, Halted<M>> {
    match &result {
        Ok(stepped) if stepped.late.is_empty() => tell(&stepped.report),
        Ok(stepped) => stepped.late.iter().for_each(tell),
        Err(halted) => {
            halted.late().iter().for_each(tell);
            tell(halted.report());
        }
    }
    result
}

#[cfg(not(feature = "tracing"))]
pub(super) fn tell(_: &Report) {}

/// Emits one event, as severe as the verdict.
#[cfg(feature = "tracing")]
pub(super) fn tell(report: &Report) {
    use crate::{Incident, Verdict};

    let now = &report.reading;
    for text in &report.notices {
        tracing::warn!(target: "evenkeel", attempt = now.attempt, update = now.update, "{text}");
    }
    macro_rules! event {
        ($level:ident, $what:literal $($more:tt)*) => {
            tracing::$level!(
                target: "evenkeel",
                attempt = now.attempt,
                update = now.update,
                loss = now.loss,
                lr = now.lr,
                grad_norm = now.grad_norm,
                factor = report.factor,
                share = report.share,
                $($more)*
                $what
            )
        };
    }
    macro_rules! incident {
        ($level:ident, $what:literal) => {
            event!($level, $what by = report.by.as_deref(), why = %Incident::from(report),)
        };
    }
    match report.verdict {
        _ if report.pending => {}
        Verdict::Apply if report.is_clipped() => event!(debug, "clipped"),
        Verdict::Apply => event!(trace, "applied"),
        Verdict::Skip => incident!(warn, "skipped"),
        Verdict::Rewind => incident!(warn, "rewound"),
        Verdict::Halt => incident!(error, "halted"),
    }
}
