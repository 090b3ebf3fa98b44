//! The pages and pictures of runs that were made up: whole, small, and safe to open.
//!
//! They are written to the target's temporary folder, to be looked at.

use std::path::PathBuf;

use evenkeel::Verdict;
use evenkeel::record::{Entry, History, Overview};

/// A run of 50 layers with a spike, skips, rewinds, clips, dead units, and a number of the user's own.
fn run(steps: u64, layers: usize) -> History {
    let mut history = History::default();
    let name = |quantity: &str, k: usize| format!("{quantity}/blocks.{k}.linear.weight");
    let grads: Vec<String> = (0..layers).map(|k| name("grad_norm", k)).collect();
    let updates: Vec<String> = (0..layers).map(|k| name("update_norm", k)).collect();
    let norms: Vec<String> = (0..layers).map(|k| name("param_norm", k)).collect();
    // A generator of its own, for the same pages everywhere.
    let mut state = 7u64;
    let mut noise = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    let mut update = 0;
    for k in 0..steps {
        let t = k as f64 / steps as f64;
        let lr = 3e-3 * (k as f64 / (0.05 * steps as f64)).min(1.0) * (0.5 + 0.5 * (3.1 * t).cos());
        let spike = steps > 100 && k == steps * 3 / 5;
        let loss = if spike {
            40.0
        } else {
            0.2 + 2.1 * (-7.0 * t).exp() * (1.0 + 0.2 * noise()) + 0.05 * noise()
        };
        let norm = (0.6 + 3.0 * (-9.0 * t).exp()) * (1.0 + 0.5 * noise());
        let factor = (1.0 / norm).min(1.0);
        let mut entry = Entry::new(k, update)
            .value("loss", loss)
            .value("lr", lr)
            .value("factor", factor)
            .value("effective_lr", lr * factor)
            .value("grad_norm", norm);
        if factor < 1.0 {
            entry = entry.value("clip_bound", 1.0);
        }
        if k % (steps / 400).max(1) == 0 {
            entry = entry
                .value("accuracy", 1.0 - 0.9 * (-5.0 * t).exp())
                .value("param_norm", 20.0 + 9.0 * t);
            entry = entry.value("update_ratio", 0.4 * lr * (1.0 + noise()));
            for at in 0..layers {
                let depth = at as f64 / layers as f64;
                entry = entry
                    .value(
                        &grads[at],
                        norm * 10f64.powf(-3.0 * depth * (1.0 - 0.5 * t) + 0.3 * noise()),
                    )
                    .value(&updates[at], 4.0 * lr * (1.0 + 0.3 * noise()) * (1.0 - 0.9 * depth))
                    .value(&norms[at], 3.0);
            }
            let dead = |rate: f64, from: f64| (rate * (t - from)).clamp(0.0, 0.9);
            entry = entry.value("dead/act1", dead(0.1, 0.0)).value("dead/act2", dead(0.8, 0.3));
            entry = entry.value("std/act1", 1.0 + t).value("std/act2", 0.4 - 0.3 * t);
        }
        entry = match (steps > 100, k) {
            (true, k) if k % (steps / 12) == 77 => {
                let why = format!(
                    "batch {k}: update {update} skipped (non-finite gradient), loss {loss:.4e}, gradient norm NaN, rate {lr:.3e}, first in the gradient of `blocks.3.linear.weight`: 5 NaN of 4096"
                );
                entry.not_applied(Verdict::Skip, why)
            }
            (true, k) if k == steps / 5 || k == steps * 4 / 5 => {
                let why = format!(
                    "batch {k}: update {update} rewound (loss spike), loss 9.1234e0, gradient norm 3.100e1, rate {lr:.3e}, back to update {}: 50 updates taken back, 55 batches left out",
                    update - 50
                );
                entry.value("loss", 9.1).not_applied(Verdict::Rewind, why)
            }
            _ => entry,
        };
        update += u64::from(entry.verdict == Verdict::Apply);
        history.push(&entry);
    }
    history
}

fn place(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Every picture of a page is XML in which all is closed and nothing is named twice.
fn pictures(page: &str) -> Vec<&str> {
    page.split("<figure")
        .skip(1)
        .map(|rest| {
            let from = rest.find("<svg").unwrap();
            &rest[from..rest.find("</figure>").unwrap()]
        })
        .collect()
}

#[track_caller]
fn well_formed(svg: &str) {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|e| panic!("{e}: {svg:.2000}"));
    let root = document.root_element();
    assert_eq!(root.attribute("role"), Some("img"));
    let child =
        |name: &str| root.children().any(|c| c.tag_name().name() == name && c.text().is_some());
    assert!(child("title") && child("desc"));
    for node in document.descendants().filter(|node| node.is_element()) {
        let name = node.tag_name().name();
        assert!(!["script", "image", "use", "foreignObject", "a"].contains(&name), "{name}");
        for attribute in node.attributes() {
            let broken = ["NaN", "inf"].iter().any(|word| attribute.value().contains(word));
            assert!(!broken || attribute.name() == "data-hover", "{attribute:?}");
        }
    }
}

/// Nothing is fetched from anywhere.
#[track_caller]
fn stands_alone(text: &str) {
    let text = text.replace("http://www.w3.org/2000/svg", "");
    for word in ["http", "//www", "@import", "url(", "<link rel=\"stylesheet", "src="] {
        assert!(!text.contains(word), "{word}");
    }
}

#[test]
fn pages_are_whole_and_small() {
    for (steps, most) in
        [(0, 30_000), (1, 90_000), (2, 100_000), (1000, 1_000_000), (100_000, 2_000_000)]
    {
        let history = run(steps, 50);
        let overview = Overview::of(&history).title(format!("{steps} steps"));
        let page = overview.to_html();
        overview.save_html(place(&format!("run_{steps}.html"))).unwrap();
        overview.save_svgs(place(&format!("run_{steps}"))).unwrap();
        println!("{steps}: {} bytes\n{overview}\n", page.len());
        assert!(page.len() < most, "{steps} steps are {} bytes", page.len());
        stands_alone(&page);
        assert_eq!(pictures(&page).len(), overview.charts().len());
        pictures(&page).into_iter().for_each(well_formed);
        for chart in overview.charts() {
            let svg =
                std::fs::read_to_string(place(&format!("run_{steps}/{}.svg", chart.name))).unwrap();
            assert_eq!(svg, chart.to_svg());
            well_formed(&svg);
            stands_alone(&svg);
        }
        std::fs::write(place(&format!("run_{steps}.svg")), overview.to_svg()).unwrap();
        roxmltree::Document::parse(&overview.to_svg()).unwrap();
    }
}

/// The page's own data can be read by the page's own script.
#[test]
fn what_is_under_the_pointer_is_json() {
    let history = run(1000, 5);
    let page = Overview::of(&history).to_html();
    for svg in pictures(&page) {
        let document = roxmltree::Document::parse(svg).unwrap();
        let hover = document.root_element().attribute("data-hover").unwrap().to_string();
        let data: serde_json::Value = serde_json::from_str(&hover).unwrap();
        let box_ = data["box"].as_array().unwrap();
        assert!(box_.len() == 4 && box_[0].as_f64() < box_[1].as_f64());
        for line in data["lines"].as_array().into_iter().flatten() {
            let (x, y) = (line["x"].as_array().unwrap(), line["y"].as_array().unwrap());
            assert!(!x.is_empty() && x.len() == y.len());
            let end: f64 = x.iter().map(|x| x.as_f64().unwrap()).sum();
            assert!(end <= data["b"].as_f64().unwrap());
        }
    }
}

#[test]
fn names_are_only_words() {
    let evil = "<script>alert('1')</script>\"&]]>";
    let mut history = History::default();
    for k in 0..30 {
        let entry = Entry::new(k, k)
            .value("loss", 1.0)
            .value(evil, k as f64)
            .value(&format!("grad_norm/a.{evil}.weight"), 1.0)
            .value(&format!("grad_norm/b{evil}.weight"), 1e-9)
            .value(&format!("dead/{evil}"), 0.95);
        history.push(&match k {
            7 => entry.not_applied(Verdict::Skip, evil),
            _ => entry,
        });
    }
    let overview = Overview::of(&history).title(evil);
    let page = overview.to_html();
    assert_eq!(page.matches("<script").count(), 1, "but the page's own");
    assert_eq!(page.matches("</script").count(), 1);
    assert!(
        page.contains("<h1>&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;]]&gt;</h1>")
    );
    assert!(
        overview.findings().iter().any(|f| f.evidence.contains("<script>")),
        "plain in the data"
    );
    pictures(&page).into_iter().for_each(well_formed);
    assert!(!overview.to_svg().contains("<script"));
    for chart in overview.charts() {
        well_formed(&chart.to_svg());
        assert!(!chart.name.contains(['<', '/', '>', '"', '\'']), "{}", chart.name);
    }
    let names: std::collections::HashSet<String> =
        overview.charts().into_iter().map(|c| c.name).collect();
    assert_eq!(names.len(), overview.charts().len());
}

/// The highest point of the loss's faint line in the picture, in pixels.
#[test]
fn a_spike_of_one_step_in_a_hundred_thousand_is_drawn() {
    let top = |spike: bool| {
        let mut history = History::default();
        for k in 0..100_000 {
            let loss = if spike && k == 31_415 { 9.0 } else { 2.0 - 1e-5 * k as f64 };
            history.push(&Entry::new(k, k).value("loss", loss));
        }
        let svg = Overview::of(&history).charts()[0].to_svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let raw = document.descendants().find(|n| n.attribute("class") == Some("a raw")).unwrap();
        let d = raw.attribute("d").unwrap().to_string();
        let heights = d
            .split(['M', 'L'])
            .filter_map(|p| p.split_once(' '))
            .map(|(x, y)| (x.to_string(), y.parse().unwrap()));
        let mut heights: Vec<(String, f64)> = heights.collect();
        heights.sort_by(|a, b| a.1.total_cmp(&b.1));
        (heights[0].clone(), heights[1].1)
    };
    let ((x, y), next) = top(true);
    let x: f64 = x.parse().unwrap();
    // 31 415 of 99 999 between the ends of the frame, 58 and 1122.
    assert!((x - (58.0 + 1064.0 * 31_415.0 / 99_999.0)).abs() < 0.1, "{x}");
    assert!(next - y > 150.0, "{y} stands out from {next}");
    let ((_, y), next) = top(false);
    assert!(next - y < 5.0);
}

/// What has no number is above all that have one.
#[test]
fn incidents_are_marks_on_the_loss_with_their_words() {
    let mut history = History::default();
    for k in 0..100 {
        let entry = Entry::new(k, k).value("loss", 2.0 - 0.01 * k as f64);
        history.push(&match k {
            20 => entry.value("loss", f64::NAN).not_applied(Verdict::Skip, "not a <number>"),
            21 => entry.not_applied(Verdict::Skip, "the one after it"),
            60 => entry.value("loss", 1.4).not_applied(Verdict::Rewind, "a spike"),
            99 => entry.value("loss", 1e9).not_applied(Verdict::Halt, "enough"),
            _ => entry,
        });
    }
    let svg = Overview::of(&history).charts()[0].to_svg();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let marks: Vec<(&str, &str, String)> = document
        .descendants()
        .filter_map(|node| {
            let words = node.first_element_child()?.text()?;
            let class = node.attribute("class").filter(|class| class.starts_with("mark"))?;
            Some((class, words, node.attribute("d")?.to_string()))
        })
        .collect();
    let seen: Vec<(&str, &str)> = marks.iter().map(|(class, words, _)| (*class, *words)).collect();
    let expected = [
        ("mark skip", "not a <number>"),
        ("mark skip", "the one after it"),
        ("mark rewind", "a spike"),
        ("mark halt", "enough"),
    ];
    assert_eq!(seen, expected);
    let y = |at: usize| -> f64 {
        let d: &str = &marks[at].2;
        let rest = d.split_once(' ').unwrap().1;
        rest[..rest.find('m').unwrap()].parse().unwrap()
    };
    assert_eq!((y(0), y(3)), (42.0, 42.0), "at the top");
    assert!(y(1) > 42.0 && y(2) > y(1), "at their losses");
}

/// As after a resume from further back, or by a loop that counts as it likes.
#[test]
fn steps_out_of_order_can_be_drawn() {
    for attempts in [[5, 6, 2, 3, 9], [9, 8, 7, 6, 5], [0, u64::MAX, 1, u64::MAX - 1, 0]] {
        let mut history = History::default();
        for k in 0..60 {
            let attempt = attempts[k / 12].saturating_add(k as u64 % 12);
            let entry = Entry::new(attempt, attempt).value("loss", 3.0 / (1.0 + k as f64));
            let entry = entry.value("lr", 0.1).value("grad_norm", 1.0).value("dead/a", 0.5);
            history.push(&match k % 9 {
                8 => entry.not_applied(Verdict::Skip, "x"),
                _ => entry,
            });
        }
        let overview = Overview::of(&history);
        pictures(&overview.to_html()).into_iter().for_each(well_formed);
        assert!(!overview.to_string().is_empty());
    }
}

#[test]
fn strange_numbers_can_be_drawn() {
    let strange = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1e300, 1e300, 5e-324, 1.0];
    for shift in 0..strange.len() {
        let mut history = History::default();
        for k in 0..16u64 {
            let x = strange[(k as usize / 2 + shift) % strange.len()];
            let name = |name: &str| name.to_string();
            let names = [
                "loss",
                "lr",
                "grad_norm",
                "clip_bound",
                "factor",
                "effective_lr",
                "update_ratio",
                "mine",
            ];
            let parts = [
                "grad_norm/a.w",
                "update_norm/a.w",
                "param_norm/a.w",
                "dead/x",
                "saturated/x",
                "std/x",
            ];
            let all = names.iter().chain(&parts).map(|n| name(n));
            history.push(&all.fold(Entry::new(3 * k, k), |entry, name| entry.value(&name, x)));
        }
        let overview = Overview::of(&history);
        pictures(&overview.to_html()).into_iter().for_each(well_formed);
        assert!(!overview.to_string().is_empty());
    }
}
