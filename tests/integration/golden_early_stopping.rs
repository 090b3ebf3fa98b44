//! Early stopping against Lightning, on two hundred random walks: `tests/golden/early_stopping.py`.

use evenkeel::metric::EarlyStopping;
use serde_json::Value;

#[test]
fn it_stops_where_lightnings_stops() {
    let golden: Value =
        serde_json::from_str(include_str!("../golden/early_stopping.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 200);
    let (mut stopped, mut went_on) = (0, 0);
    for (at, case) in cases.iter().enumerate() {
        let stopping = match case["mode"].as_str().unwrap() {
            "min" => EarlyStopping::lowest(),
            _ => EarlyStopping::highest(),
        };
        let patience = case["patience"].as_u64().unwrap();
        let mut stopping = stopping
            .patience(patience)
            .unwrap()
            .min_delta(case["min_delta"].as_f64().unwrap())
            .unwrap();
        let [values, stops, best] =
            ["values", "stops", "best"].map(|name| case[name].as_array().unwrap());
        for (k, value) in values.iter().enumerate() {
            let checked = stopping.check(k as u64, value.as_f64().unwrap());
            assert_eq!(checked.end.is_some(), stops[k].as_bool().unwrap(), "case {at}, check {k}");
            assert_eq!(checked.is_best, best[k].as_bool().unwrap(), "case {at}, check {k}");
        }
        match stops.iter().any(|stop| stop.as_bool() == Some(true)) {
            true => stopped += 1,
            false => went_on += 1,
        }
    }
    // Cases of both kinds, or nothing is shown.
    assert!(stopped > 50 && went_on > 10, "{stopped} {went_on}");
}
