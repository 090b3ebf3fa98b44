//! A loop with a validation pass: its number is recorded, found and acted upon.

use crate::common::{Batch, Net, bits};
use burn::optim::AdamConfig;
use burn::tensor::Device;
use evenkeel::checkpoint::CheckpointDir;
use evenkeel::metric::{EarlyStopping, End};
use evenkeel::monitor::Observation;
use evenkeel::record::{History, JsonLines, Logbook, Overview};
use evenkeel::schedule::{Cosine, Schedule};
use evenkeel::{Builder, Keel};

fn adam() -> Builder<Net> {
    Keel::wrap(AdamConfig::new().init())
}

#[test]
fn a_run_ends_normally_and_its_best_checkpoint_comes_back() {
    let device = Device::flex().autodiff();
    let scratch = std::env::temp_dir().join(format!("evenkeel-validation-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&scratch);
    let folder = CheckpointDir::new(scratch.join("checkpoints"));
    let file = scratch.join("run.jsonl");
    std::fs::create_dir_all(&scratch).unwrap();

    let mut net = Net::new(&device);
    let mut rates = Cosine::new(0.05, 0.0, 200).unwrap().start();
    let mut keel = adam().build(&net).unwrap();
    let mut stopping = EarlyStopping::lowest().patience(3).unwrap();
    let mut log =
        Logbook::to(JsonLines::new(&file)).keep(History::default()).open(keel.attempts()).unwrap();
    let (mut best, mut ended) = (Vec::new(), None);
    for k in 0..200u64 {
        let (loss, grads) = net.backward(Batch::number(k % 4, &device));
        let stepped = keel.step(rates.step(), net, grads, &loss).unwrap();
        let mut seen = None;
        if k % 5 == 4 {
            // Falls until update 50, and rises from there.
            let valid = (keel.updates() as f64 - 50.0).abs() / 50.0;
            seen = Some(Observation::default().value("valid_loss", valid));
            let checked = stopping.check(keel.updates(), valid);
            if checked.is_best {
                let beside: &[(&str, &dyn evenkeel::checkpoint::Persist)] =
                    &[("rates", &rates), ("stopping", &stopping)];
                keel.save_best(&folder, &stepped.model, beside).unwrap();
                best = bits(&stepped.model);
            }
            ended = checked.end;
        }
        log.step(&stepped, seen).unwrap();
        net = stepped.model;
        if ended.is_some() {
            break;
        }
    }
    let Some(End::NoImprovement { checks: 3, .. }) = ended else { panic!("{ended:?}") };
    assert_eq!(keel.updates(), 65);

    let history = log.history();
    assert_eq!(history.series("valid_loss").len(), 13);
    let page = Overview::of(&history).to_html();
    assert!(page.contains("valid_loss"));
    log.close().unwrap();
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"valid_loss\":0.2"));

    // All of it goes back to the best, and on from there as if nothing had come after it.
    let fresh = Net::new(&device);
    let mut again = adam().build(&fresh).unwrap();
    let mut kept = EarlyStopping::lowest().patience(3).unwrap();
    let beside: &mut [(&str, &mut dyn evenkeel::checkpoint::Persist)] =
        &mut [("rates", &mut rates), ("stopping", &mut kept)];
    let found = again.load_best(&folder, &fresh, beside).unwrap().unwrap();
    assert_eq!(bits(&found), best);
    assert_eq!((again.updates(), rates.position()), (50, 50));
    assert_eq!(kept.best().unwrap().update, 50);
    assert!(again.load(&folder, &fresh, &mut []).unwrap().is_none(), "the best is not the newest");
    std::fs::remove_dir_all(&scratch).unwrap();
}
