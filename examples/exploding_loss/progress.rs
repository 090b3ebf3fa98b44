//! Progress display: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressStyle};

pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    pub fn new(runs: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:40} {pos} of {len} runs, {eta} left: {msg}");
        let bar = || ProgressBar::new(runs as u64).with_style(style.expect("a valid template"));
        Self { bar: stderr().is_terminal().then(bar) }
    }

    pub fn begins(&self, remedy: &'static str, at: usize, of: usize) {
        match &self.bar {
            Some(bar) => bar.set_message(remedy),
            None => eprintln!("{} of {of}: {remedy}", at + 1),
        }
    }

    pub fn ran(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    pub fn ends(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
