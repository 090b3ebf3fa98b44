//! A progress bar in the terminal.

use std::fmt::Write;

use indicatif::{ProgressDrawTarget, ProgressStyle};

use super::{Entry, Sink};
use crate::{Error, Verdict};

/// A progress bar in the terminal: updates, time left, loss, learning rate, gradient norm, and the number of
/// clipped, skipped and rewound steps.
///
/// ```text
/// 00:41 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╸───────── 7503/10000 (24.3/s, 00:01:42)
///       loss 2.314e-1  rate 7.50e-4  norm 1.82e0  clipped 31 %  3 skipped  1 rewound
/// ```
///
/// It is drawn on standard error, and not at all if that is not a terminal. A rewind moves it back. `clipped` is
/// a share of all applied steps.
///
/// ```
/// use evenkeel::record::{ProgressBar, Entry, Logbook};
///
/// # fn main() -> Result<(), evenkeel::Error> {
/// let mut log = Logbook::to(ProgressBar::over(10_000)).open(0)?;
/// log.push(Entry::new(0, 0).value("loss", 0.5))?;
/// log.close()
/// # }
/// ```
#[derive(Debug)]
#[doc(alias = "tqdm")]
#[doc(alias = "RichProgressBar")]
pub struct ProgressBar {
    bar: indicatif::ProgressBar,
    applied: u64,
    clipped: u64,
    skipped: u64,
    rewound: u64,
    halted: bool,
    began: bool,
}

impl ProgressBar {
    /// Creates a bar for this many updates.
    #[must_use]
    pub fn over(updates: u64) -> Self {
        Self::on(indicatif::ProgressBar::new(updates), ProgressDrawTarget::stderr())
    }

    /// Creates a bar for a run of unknown length.
    #[must_use]
    pub fn endless() -> Self {
        Self::on(indicatif::ProgressBar::no_length(), ProgressDrawTarget::stderr())
    }

    /// Draws the bar to another target.
    #[must_use]
    pub fn drawn_on(self, target: ProgressDrawTarget) -> Self {
        self.bar.set_draw_target(target);
        self
    }

    /// Returns the underlying bar: for printing lines above it, or for joining several.
    #[must_use]
    pub fn bar(&self) -> &indicatif::ProgressBar {
        &self.bar
    }

    fn on(bar: indicatif::ProgressBar, target: ProgressDrawTarget) -> Self {
        bar.set_draw_target(target);
        let template = match bar.length() {
            Some(_) => "{elapsed} {bar:40} {pos}/{len} ({per_sec}, {eta})\n      {msg}",
            None => "{elapsed} {pos} ({per_sec})\n      {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { bar, applied: 0, clipped: 0, skipped: 0, rewound: 0, halted: false, began: false }
    }

    fn message(&self, entry: &Entry) -> String {
        let mut text = String::new();
        let mut say = |words: std::fmt::Arguments<'_>| {
            if !text.is_empty() {
                text.push_str("  ");
            }
            // Writing to a string does not fail.
            let _ = text.write_fmt(words);
        };
        if let Some(loss) = entry.get("loss") {
            say(format_args!("loss {loss:.3e}"));
        }
        if let Some(rate) = entry.get("lr") {
            say(format_args!("rate {rate:.2e}"));
        }
        if let Some(norm) = entry.get("grad_norm") {
            say(format_args!("norm {norm:.2e}"));
        }
        if self.clipped > 0 {
            say(format_args!("clipped {} %", (100 * self.clipped).div_ceil(self.applied)));
        }
        if self.skipped > 0 {
            say(format_args!("{} skipped", self.skipped));
        }
        if self.rewound > 0 {
            say(format_args!("{} rewound", self.rewound));
        }
        if self.halted {
            say(format_args!("halted"));
        }
        text
    }
}

impl Sink for ProgressBar {
    fn write(&mut self, entry: &Entry) -> Result<(), Error> {
        if !self.began {
            // Updates made before a resume took none of this run's time.
            self.began = true;
            self.bar.set_position(entry.update);
            self.bar.reset_eta();
        }
        match entry.verdict {
            Verdict::Apply => {
                self.applied += 1;
                self.clipped += u64::from(entry.get("factor").is_some_and(|f| f < 1.0));
            }
            Verdict::Skip => self.skipped += 1,
            Verdict::Rewind => self.rewound += 1,
            Verdict::Halt => self.halted = true,
        }
        self.bar.set_message(self.message(entry));
        self.bar.set_position(entry.update + u64::from(entry.verdict == Verdict::Apply));
        Ok(())
    }
}

/// Leaves the last state on the terminal.
impl Drop for ProgressBar {
    fn drop(&mut self) {
        self.bar.abandon();
    }
}
