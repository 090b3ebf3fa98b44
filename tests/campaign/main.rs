//! Random faults in random runs: nothing is ever poisoned, nothing panics, and no rejected step leaves
//! a trace.
//!
//! A few hundred runs are made by `cargo test --features faults`. Ten thousand, and any others:
//!
//!     EVENKEEL_CASES=10000 cargo test --features faults --test campaign -- --nocapture
//!     EVENKEEL_SEED=1234 EVENKEEL_CASES=1 cargo test --features faults --test campaign
//!
//! Case `n` is a pure function of `n`; the cases run are those from `EVENKEEL_SEED` on. A case that
//! fails prints its seed, and all that was drawn for it.

mod case;
#[path = "../integration/common/mod.rs"]
mod common;
mod late;
mod run;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use case::Case;
use rayon::prelude::*;
use run::Tally;

const CASES: u64 = 400;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => {
            text.parse().unwrap_or_else(|_| panic!("{name} must be a number, got {text:?}"))
        }
        Err(_) => default,
    }
}

/// One case, and what is wrong with it if anything is.
fn run(seed: u64) -> Result<Tally, String> {
    let case = Case::draw(seed);
    let told = catch_unwind(AssertUnwindSafe(|| match case.late {
        Some(_) => late::run(&case),
        None => run::run(&case),
    }));
    let failed = match told {
        Ok(Ok(tally)) => return Ok(tally),
        Ok(Err(broken)) => broken,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("panicked: {}", text.unwrap_or("?"))
        }
    };
    Err(format!(
        "EVENKEEL_SEED={seed} EVENKEEL_CASES=1 cargo test --features faults --test campaign\n\
         {failed}\n{case:#?}"
    ))
}

#[test]
fn random_faults_in_random_runs_break_nothing() {
    let (first, cases) = (number("EVENKEEL_SEED", 0), number("EVENKEEL_CASES", CASES));
    let outcomes: Vec<Result<Tally, String>> =
        (first..first + cases).into_par_iter().map(run).collect();
    let failures: Vec<&String> = outcomes.iter().filter_map(|o| o.as_ref().err()).collect();
    if let Some(one) = failures.first() {
        let others: Vec<_> =
            failures.iter().map(|f| f.lines().take(2).collect::<Vec<_>>().join(" ")).collect();
        panic!(
            "{} of {cases} cases failed; the first:\n{one}\n{}",
            failures.len(),
            others.join("\n")
        );
    }
    let mut total: BTreeMap<String, u64> = BTreeMap::new();
    for (event, n) in outcomes.into_iter().flatten().flat_map(|tally| tally.events) {
        *total.entry(event).or_default() += n;
    }
    println!("{cases} cases from seed {first}, none failed");
    total.iter().for_each(|(event, n)| println!("{n:>9}  {event}"));

    // A campaign in which nothing happens shows nothing.
    if cases >= CASES {
        let must = [
            "applied",
            "skipped",
            "rewound",
            "halted",
            "halted at a snapshot",
            "resumed",
            "overflow under a loss scale",
            "injected",
            "averages compared",
            "checkpoints compared",
            "micro-batch rejected",
            "by NonFinite",
            "by LossScale",
            "by LossSpike",
            "by NormSpike",
            "by Divergence",
            "by LayerLimit",
            "by UpdateRatio",
            "by Stall",
            "by a closure",
            "clipped",
            "updates taken back",
            "applied tied",
            "applied frozen",
            "applied in half precision",
            "applied with weights behind it",
            "applied wrapped",
            "applied held",
            "applied at an odd rate",
            "resumed with other settings",
            "resumed from what is damaged",
            "late: stepped",
            "late: compared",
            "late: skipped",
            "late: rewound",
            "late: halted",
        ];
        for event in must {
            assert!(total.contains_key(event), "nothing was ever `{event}`");
        }
    }
}
