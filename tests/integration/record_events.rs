//! Events of a keel's steps, as a subscriber hears them.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use crate::common::{Batch, Net, with_first};
use burn::optim::SgdConfig;
use burn::tensor::Device;
use evenkeel::clip::GlobalNorm;
use evenkeel::{Decide, Keel, Rewind};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// What was heard: level, message, and the other fields as text.
type Heard = (Level, String, String);

/// A subscriber is for the whole process, and other tests train in other threads: it listens to one.
#[derive(Clone)]
struct Ear(Arc<Mutex<Vec<Heard>>>, ThreadId);

#[derive(Default)]
struct Fields(String, String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.0 = format!("{value:?}"),
            name => self.1 += &format!("{name}={value:?} "),
        }
    }
}

impl Subscriber for Ear {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        about.target() == "evenkeel"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        if std::thread::current().id() != self.1 {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        self.0.lock().unwrap().push((*event.metadata().level(), fields.0, fields.1));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn each_step_is_one_event_as_severe_as_its_verdict() {
    let ear = Ear(Arc::default(), std::thread::current().id());
    tracing::subscriber::set_global_default(ear.clone()).unwrap();
    for decide in [Decide::Now, Decide::OnDevice { every: 4 }] {
        let device = Device::flex().autodiff();
        let mut net = Net::new(&device);
        let mut keel = Keel::wrap(SgdConfig::new().init())
            .clip(GlobalNorm::at_most(0.5).unwrap())
            .decide(decide)
            .skips_at_most(1)
            .rewind(Rewind::every(4).unwrap().at_most(1).unwrap())
            .build(&net)
            .unwrap();
        let mut expected = Vec::new();
        for k in 0.. {
            let mut batch = Batch::number(k, &device);
            if matches!(k, 3 | 6 | 7) || k > 9 {
                batch.x = with_first(batch.x, f32::NAN);
            }
            let (loss, grads) = net.backward(batch);
            let reports = match keel.step(0.1, net, grads, &loss) {
                Ok(stepped) => {
                    net = stepped.model;
                    if stepped.late.is_empty() { vec![stepped.report] } else { stepped.late }
                }
                Err(halted) => {
                    expected.extend(halted.late().to_vec());
                    expected.push(halted.report().clone());
                    break;
                }
            };
            expected.extend(reports.into_iter().filter(|report| !report.pending));
        }
        let heard = std::mem::take(&mut *ear.0.lock().unwrap());
        assert_eq!(heard.len(), expected.len());
        let mut kinds = std::collections::BTreeSet::new();
        for ((level, message, fields), report) in heard.iter().zip(&expected) {
            use evenkeel::Verdict::*;
            let kind = match report.verdict {
                Apply if report.is_clipped() => (Level::DEBUG, "clipped"),
                Apply => (Level::TRACE, "applied"),
                Skip => (Level::WARN, "skipped"),
                Rewind => (Level::WARN, "rewound"),
                Halt => (Level::ERROR, "halted"),
            };
            assert_eq!((*level, message.as_str()), kind, "{report}");
            kinds.insert(kind.1);
            let now = &report.reading;
            let part = format!("attempt={} update={} ", now.attempt, now.update);
            assert!(fields.contains(&part), "{fields}");
            assert!(fields.contains(&format!("lr={:?} ", now.lr)), "{fields}");
            match &report.by {
                Some(by) => assert!(fields.contains(&format!("by={by:?}")), "{fields}"),
                None => assert!(!fields.contains("by="), "{fields}"),
            }
        }
        assert_eq!(kinds.len(), 5, "{kinds:?}");
    }
}
