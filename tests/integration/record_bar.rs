//! What the progress bar shows, on a terminal in memory.

use std::io::IsTerminal;

use evenkeel::Verdict;
use evenkeel::record::{Entry, Logbook, ProgressBar, Sink};
use indicatif::{InMemoryTerm, ProgressDrawTarget};

fn step(attempt: u64, update: u64) -> Entry {
    Entry::new(attempt, update)
        .value("loss", 0.25)
        .value("lr", 1e-3)
        .value("factor", if attempt.is_multiple_of(2) { 0.5 } else { 1.0 })
        .value("grad_norm", 1.5)
}

fn screen() -> (InMemoryTerm, ProgressDrawTarget) {
    let term = InMemoryTerm::new(10, 120);
    let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
    (term, target)
}

#[test]
fn it_shows_loss_rate_norm_and_what_was_not_applied() {
    let (term, target) = screen();
    let mut bar = ProgressBar::over(100).drawn_on(target);
    for k in 0..30 {
        bar.write(&step(k, k)).unwrap();
    }
    bar.bar().tick();
    let text = term.contents();
    assert!(text.contains("30/100"), "{text}");
    assert!(text.contains("loss 2.500e-1  rate 1.00e-3  norm 1.50e0  clipped 50 %"), "{text}");
    assert!(!text.contains("skipped") && !text.contains("rewound"), "{text}");

    bar.write(&step(30, 30).not_applied(Verdict::Skip, "")).unwrap();
    bar.write(&step(31, 30).not_applied(Verdict::Skip, "")).unwrap();
    bar.write(&step(32, 30).not_applied(Verdict::Rewind, "")).unwrap();
    bar.write(&step(33, 20)).unwrap();
    bar.bar().tick();
    let text = term.contents();
    assert!(text.contains("21/100"), "a rewind takes it back: {text}");
    assert!(text.contains("2 skipped  1 rewound"), "{text}");
    bar.write(&step(34, 21).not_applied(Verdict::Halt, "")).unwrap();
    drop(bar);
    assert!(term.contents().contains("halted"), "what was drawn last stays");
}

#[test]
fn numbers_that_are_not_there_are_left_out() {
    let (term, target) = screen();
    let mut bar = ProgressBar::endless().drawn_on(target);
    bar.write(&Entry::new(0, 0).value("loss", f64::NAN)).unwrap();
    bar.bar().tick();
    let text = term.contents();
    assert!(text.contains("loss NaN") && !text.contains("rate"), "{text}");
}

#[test]
fn it_is_quiet_where_there_is_no_terminal() {
    if std::io::stderr().is_terminal() {
        return;
    }
    let bar = ProgressBar::over(10);
    assert!(bar.bar().is_hidden());
    let mut log = Logbook::to(bar).open(0).unwrap();
    log.push(step(0, 0)).unwrap();
    log.close().unwrap();
}
