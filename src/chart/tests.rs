use proptest::prelude::*;
use roxmltree::Document;

use super::frame::width;
use super::*;

fn well_formed(svg: &str) -> Document<'_> {
    let document = Document::parse(svg).unwrap_or_else(|e| panic!("{e}: {svg:.2000}"));
    for node in document.descendants().filter(|node| node.is_element()) {
        for attribute in node.attributes() {
            let broken = ["NaN", "inf"].iter().any(|word| attribute.value().contains(word));
            assert!(!broken, "{attribute:?}");
        }
    }
    document
}

/// A text in a chart.
struct Word {
    from: f64,
    to: f64,
    baseline: f64,
    text: String,
}

/// Returns all texts in a chart, with estimated widths.
fn words(svg: &str) -> Vec<Word> {
    let document = well_formed(svg);
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    let word = |node: roxmltree::Node<'_, '_>| {
        let number = |name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
        let shift = node.parent().and_then(|parent| parent.attribute("transform"));
        let shift = shift.map_or((0.0, 0.0), |text| {
            let inside = text.trim_start_matches("translate(").trim_end_matches(')');
            let (x, y) = inside.split_once(' ').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        });
        let small = node.attribute("class").is_some_and(|class| class.contains('s'));
        let title = node.attribute("class").is_some_and(|class| class.starts_with('t'));
        let size = match (title, small) {
            (true, false) => 15.0,
            (true, true) => 12.5,
            (false, false) => 12.0,
            (false, true) => 10.5,
        };
        let text: String =
            node.descendants().filter(|n| n.is_text()).filter_map(|n| n.text()).collect();
        let (x, y) = (number("x") + shift.0, number("y") + shift.1);
        let wide = width(&text, size);
        let from = match node.attribute("text-anchor") {
            Some("middle") => x - wide / 2.0,
            Some("end") => x - wide,
            _ => x,
        };
        Word { from, to: from + wide, baseline: y, text }
    };
    texts.map(word).collect()
}

/// Asserts that no two texts overlap, and that none leaves the chart.
#[track_caller]
fn readable(chart: &Chart) {
    let svg = chart.to_svg();
    let words = words(&svg);
    let (wide, tall) = (f64::from(chart.size.0), f64::from(chart.size.1));
    for (at, word) in words.iter().enumerate() {
        let Word { from, to, baseline, text } = word;
        let inside = *from >= -2.0 && *to <= wide + 2.0 && *baseline > 8.0 && *baseline <= tall;
        assert!(inside, "`{text}` leaves {wide} × {tall} of {}", chart.title);
        for other in &words[at + 1..] {
            let apart =
                *to <= other.from || other.to <= *from || (baseline - other.baseline).abs() >= 9.0;
            assert!(apart, "`{text}` at {from} over `{}` in {}", other.text, chart.title);
        }
    }
}

fn bowl(shift: f64) -> impl Iterator<Item = (f64, f64)> {
    (-8..=2).map(move |half| {
        let x = 10f64.powf(f64::from(half) / 2.0);
        (x, if half > 0 { f64::INFINITY } else { shift + (x.log10() + 2.0).powi(2) })
    })
}

fn rates() -> LineChart {
    LineChart::new("Loss").across(Axis::log("rate")).up(Axis::log("loss")).breaks("broke")
}

#[test]
fn places_are_those_of_the_logarithms() {
    let chart = LineChart::new("")
        .size(1000, 400)
        .unwrap()
        .across(Axis::log("x").between(1e-4, 1.0).unwrap())
        .up(Axis::even("").between(0.0, 2.0).unwrap())
        .series(Series::new("a", [(1e-4, 0.0), (1e-2, 1.0), (0.1, 3.0), (1.0, 2.0)]))
        .draw();
    let svg = chart.to_svg();
    let document = well_formed(&svg);
    let line = document.descendants().find(|n| n.attribute("class") == Some("a")).unwrap();
    // From 58 to 982 and from 370 to 42; a value above the range is at the edge.
    let expected = "M58.0 370.0L520.0 206.0L751.0 42.0L982.0 42.0";
    assert_eq!(line.attribute("d"), Some(expected));
}

#[test]
fn what_is_not_finite_is_a_cross_in_a_row_of_its_line() {
    let svg = rates()
        .series(Series::new("one", bowl(0.5)).markers())
        .series(Series::new("two", bowl(0.9)))
        .series(Series::new("three", bowl(0.1).filter(|(_, y)| y.is_finite())).markers())
        .series(Series::new("four", bowl(0.3)).faint())
        .draw()
        .to_svg();
    let document = well_formed(&svg);
    let crosses = |class: &str| -> Vec<String> {
        let all = document.descendants().filter(|n| n.attribute("class") == Some(class));
        let d =
            all.filter_map(|n| n.attribute("d")).filter(|d| d.ends_with("m-3 -3l6 6m0 -6l-6 6"));
        d.map(|d| d.split_once(' ').unwrap().1.split('m').next().unwrap().to_string()).collect()
    };
    let (one, two) = (crosses("a"), crosses("b"));
    assert_eq!((one.len(), two.len()), (2, 1), "each rate with a marker, the first without");
    assert_ne!(one[0], two[0], "rows of their own");
    assert!(crosses("c").is_empty() && crosses("faint").is_empty());
    assert!(svg.contains(">broke</text>"));
    let whole = rates().series(Series::new("a", [(1.0, 1.0), (2.0, 2.0)])).draw().to_svg();
    assert!(!whole.contains("broke"), "no lane where nothing broke");
}

#[test]
fn lines_differ_in_more_than_color() {
    let mut chart = rates();
    for k in 0..8 {
        chart = chart.series(Series::new(format!("line {k}"), bowl(f64::from(k))).markers());
    }
    let svg = chart.draw().to_svg();
    let document = well_formed(&svg);
    let keys = document.descendants().filter(|n| n.has_tag_name("g"));
    let shapes: std::collections::HashSet<String> = keys
        .map(|key| key.children().filter_map(|n| n.attribute("d")).next_back().unwrap().to_string())
        .collect();
    assert_eq!(shapes.len(), 8);
    // With many points, each line has a few markers, and none at the same position.
    let dense = |k: usize| Series::new(format!("{k}"), (0..500).map(|x| (f64::from(x), 1.0)));
    let svg = LineChart::new("").series(dense(0)).series(dense(1)).draw().to_svg();
    let document = well_formed(&svg);
    let marked = |class: &str| -> Vec<String> {
        let nodes = document.descendants().filter(|n| n.attribute("class") == Some(class));
        let places = nodes.filter(|n| !n.parent().unwrap().has_tag_name("g"));
        places.map(|n| n.attribute("d").unwrap()[..6].to_string()).collect()
    };
    let (a, b) = (marked("a pt"), marked("b pt"));
    assert!(a.len() >= 6 && b.len() >= 6 && a.iter().all(|at| !b.contains(at)), "{a:?} {b:?}");
}

#[test]
fn a_band_is_between_its_ends_and_has_gaps() {
    let ends = (0..10).map(|k| (f64::from(k), if k == 5 { f64::NAN } else { 1.0 }, 3.0));
    let line = Series::new("a", (0..10).map(|k| (f64::from(k), 2.0))).band(ends);
    let up = Axis::even("").between(0.0, 4.0).unwrap();
    let svg = LineChart::new("").size(400, 372).unwrap().up(up).series(line).draw().to_svg();
    let document = well_formed(&svg);
    let bands: Vec<&str> = document
        .descendants()
        .filter(|n| n.attribute("class") == Some("a band"))
        .filter_map(|n| n.attribute("d"))
        .collect();
    assert_eq!(bands.len(), 2);
    // A quarter and three quarters of 42 to 342.
    assert!(bands[0].contains(" 117.0") && bands[0].contains(" 267.0"), "{bands:?}");
}

#[test]
fn long_legends_are_below_the_title_and_nothing_overlaps() {
    let long = "momentum + clip 1 + warmup 20 + cosine + standardized";
    for (wide, count) in [(560, 7), (1140, 7), (1140, 2), (720, 1), (320, 3)] {
        let mut chart = rates().size(wide, 460).unwrap().level(0.35, "target");
        for k in 0..count {
            let name = if wide < 400 { format!("line {k}") } else { format!("{long} {k}") };
            chart = chart.series(Series::new(name, bowl(f64::from(k))).markers());
        }
        readable(&chart.draw());
    }
    let twelve =
        "a title of many letters that goes on for longer than there is room in the picture";
    for wide in [210, 369, 562] {
        let line = Series::new("a", bowl(0.1));
        readable(&LineChart::new(twelve).size(wide, 200).unwrap().series(line).draw());
    }
}

#[test]
fn labels_of_axes_do_not_overlap() {
    for (wide, tall) in [(210, 130), (316, 240), (369, 200), (562, 250), (1140, 340)] {
        for high in [3.0, 0.5, 99.0, 12_345.0, 3e6, 7e12, 2e-5] {
            for low in [0.0, 0.9 * high, 1e-3 * high, 1e-8 * high, -high] {
                for axis in [Axis::auto("x"), Axis::even("x"), Axis::log("x"), Axis::count("x")] {
                    let line = Series::new("a", [(low, low), (high, high)]);
                    let chart = LineChart::new("t").across(axis.clone()).up(axis).series(line);
                    readable(&chart.size(wide, tall).unwrap().draw());
                }
            }
        }
    }
}

#[test]
fn labels_with_many_digits_are_few() {
    for (wide, digits) in [(140, 1e-6), (210, 1e-8), (316, 1e-11), (562, 1e-13)] {
        let axis = Axis::even("x").between(2.3, 2.3 + digits).unwrap();
        let line = Series::new("a", [(2.3, 0.0), (2.3 + digits, 1.0)]);
        let chart = LineChart::new("t").size(wide, 200).unwrap().across(axis).series(line).draw();
        readable(&chart);
        assert!(chart.to_svg().contains(">2.3"));
    }
}

#[test]
fn a_long_title_is_smaller_before_it_is_cut() {
    let draw = |title: &str| LineChart::new(title).size(562, 200).unwrap().draw().to_svg();
    let (fits, long) = ("a".repeat(50), "a".repeat(60));
    assert!(draw(&fits).contains(&format!("<text class=\"t\" x=\"14\" y=\"24\">{fits}")));
    assert!(draw(&long).contains(&format!("<text class=\"t s\" x=\"14\" y=\"24\">{long}</text>")));
    assert!(draw(&"a".repeat(90)).contains("aa…</text>"));
}

#[test]
fn a_sheet_has_one_legend_in_which_a_level_has_no_value() {
    let target = rates().series(Series::new("a", bowl(1.0))).level(0.35, "target");
    let alone = target.draw().to_svg();
    assert!(alone.contains(">target 0.35</text>"));
    let charts = [0, 1].map(|_| target.clone().without_legend().draw());
    let svg = Sheet::new("").legend_of(&target).row(charts).to_svg();
    assert_eq!((svg.matches(">target</text>").count(), svg.matches("0.35<").count()), (1, 0));
    assert_eq!(svg.matches("<desc>").count(), 2);
}

#[test]
fn text_is_only_words() {
    let evil = "<script>alert('1')</script>\"&]]>\u{1b}";
    let chart = LineChart::new(evil)
        .across(Axis::log(evil))
        .up(Axis::log(evil))
        .series(Series::new(evil, bowl(1.0)).markers())
        .series(Series::new(evil, bowl(2.0)))
        .level(1.0, evil)
        .breaks(evil);
    let sheet = Sheet::new(evil).legend_of(&chart).row([chart.draw()]);
    for svg in [chart.draw().to_svg(), sheet.to_svg()] {
        well_formed(&svg);
        assert!(!svg.contains("<script") && svg.contains("&lt;script&gt;"));
    }
    assert_eq!(chart.draw().name, "script-alert-1-script");
    let hover = well_formed(&format!("<a b=\"{}\"/>", escaped(&chart.draw().hover)))
        .root_element()
        .attribute("b")
        .unwrap()
        .to_string();
    let data: serde_json::Value = serde_json::from_str(&hover).unwrap();
    assert_eq!(data["lines"].as_array().unwrap().len(), 2);
}

#[test]
fn it_is_light_on_paper_and_follows_the_reader_on_a_screen() {
    let svg = rates().series(Series::new("a", bowl(1.0))).draw().to_svg();
    assert_eq!(svg.matches("@media screen and (prefers-color-scheme:dark)").count(), 1);
    assert!(!svg.contains("@media print"), "light is what there is without a screen");
    // A program that does not support variables uses the first value.
    assert!(svg.contains(".ek .paper{fill:#ffffff;fill:var(--ek-paper)}"));
    let document = well_formed(&svg);
    let of = |name: &str| document.root_element().children().any(|n| n.has_tag_name(name));
    assert!(of("title") && of("desc"));
    assert_eq!(document.root_element().attribute("role"), Some("img"));
    let free = svg.replace("http://www.w3.org/2000/svg", "");
    for word in ["http", "url(", "@import", "src="] {
        assert!(!free.contains(word), "{word}");
    }
}

#[test]
fn wrong_settings_are_named() {
    let said = |e: Error| e.to_string();
    assert!(said(rates().size(0, 9).unwrap_err()).starts_with("`size` of LineChart"));
    let charts = [rates().draw()];
    assert!(said(Sheet::new("").grid(0, charts).unwrap_err()).starts_with("`columns` of Sheet"));
    for (axis, low, high) in [
        (Axis::log(""), 0.0, 1.0),
        (Axis::even(""), f64::NAN, 1.0),
        (Axis::even(""), 1.0, 1.0),
        (Axis::auto(""), 0.0, f64::INFINITY),
        (Axis::count(""), -1.0, 1.0),
    ] {
        assert!(said(axis.between(low, high).unwrap_err()).starts_with("`between` of Axis"));
    }
    let nothing = LineChart::new("").level(f64::NAN, "nowhere").draw();
    assert!(!nothing.to_svg().contains("nowhere"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the numbers and the size, the same chart is drawn each time, and nothing lies outside of it.
    #[test]
    fn any_numbers_can_be_drawn(
        points in prop::collection::vec((any::<f64>(), any::<f64>()), 0..40),
        size in (1u32..400, 1u32..300),
        kind in 0usize..16,
    ) {
        let axis = |k: usize| {
            [Axis::auto("a"), Axis::even("a"), Axis::log("a"), Axis::count("a")][k % 4].clone()
        };
        let line = Series::new("x", points.clone());
        let bounds = points.iter().map(|(x, y)| (*x, *y, y + 1.0));
        let chart = || {
            LineChart::new("t")
                .sized(size)
                .across(axis(kind))
                .up(axis(kind / 4))
                .series(line.clone().markers().band(bounds.clone()))
                .series(line.clone().held())
                .series(line.clone().smoothed())
                .breaks("broke")
                .draw()
                .to_svg()
        };
        let svg = chart();
        prop_assert_eq!(&svg, &chart());
        well_formed(&svg);
    }
}
