//! The dashboard for Grafana asks for nothing that `/metrics` does not tell, and leaves nothing out that it tells.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::gateway::mock;
use crate::serve::{OWN_KEY, config, configured, new_key};

const DASHBOARD: &str = include_str!("../../../../packaging/grafana/paceline.json");
/// Prometheus adds these to whatever it reads.
const ADDED: [&str; 2] = ["instance", "job"];

/// What a page of metrics tells: the kind of each family, and the values of each label of each series.
#[derive(Default)]
struct Told {
    kinds: BTreeMap<String, String>,
    series: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
}

impl Told {
    fn read(page: &str) -> Self {
        let mut told = Self::default();
        for line in page.lines() {
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                told.kinds.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                let (series, _) = line.rsplit_once(' ').unwrap();
                let (name, labels) = series.split_once('{').unwrap_or((series, ""));
                let known = told.series.entry(name.to_owned()).or_default();
                for (label, _, value) in matchers(labels.trim_end_matches('}')) {
                    known.entry(label).or_default().insert(value);
                }
            }
        }
        told
    }

    /// The family of a series: a histogram has three kinds of them.
    fn family(&self, series: &str) -> &str {
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end));
        let found = std::iter::once(series).chain(base).find_map(|name| self.kinds.get_key_value(name));
        found.unwrap_or_else(|| panic!("no `{series}` in /metrics")).0
    }
}

/// `a="b",c=~"d"` in pieces: label, operator, value.
fn matchers(text: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('"') {
        let (value, tail) = tail.split_once('"').unwrap();
        let head = head.trim_start_matches(',');
        let at = head.find(['=', '!']).unwrap();
        found.push((head[..at].to_owned(), head[at..].to_owned(), value.to_owned()));
        rest = tail;
    }
    found
}

/// One mention of a series in an expression: what stands before it, and its matchers.
struct Mention<'a> {
    before: &'a str,
    series: &'a str,
    matchers: Vec<(String, String, String)>,
}

fn mentions(expr: &str) -> Vec<Mention<'_>> {
    let starts = expr.match_indices("paceline_").map(|(at, _)| at);
    let mention = |at: usize| {
        let name_of = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let end = name_of(&expr[at..]).map_or(expr.len(), |end| at + end);
        let inner = expr[end..].strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let matchers = inner.map(|(inner, _)| matchers(inner)).unwrap_or_default();
        Mention { before: &expr[..at], series: &expr[at..end], matchers }
    };
    starts.map(mention).collect()
}

/// The labels that an expression sums by.
fn summed_by(expr: &str) -> BTreeSet<&str> {
    let lists = expr.split(" by (").skip(1).map(|rest| rest.split_once(')').unwrap().0);
    lists.flat_map(|list| list.split(", ")).collect()
}

/// The labels that a legend shows.
fn shown(legend: &str) -> Vec<&str> {
    legend.split("{{").skip(1).map(|rest| rest.split_once("}}").unwrap().0).collect()
}

/// Every object of the dashboard that has this member.
fn with_member<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| with_member(item, name, found)),
        Value::Object(members) => {
            if members.contains_key(name) {
                found.push(value);
            }
            members.values().for_each(|member| with_member(member, name, found));
        }
        _ => {}
    }
}

/// The page of a gateway that has everything that can be told: a caller with bounds, a budget, a ledger.
fn page() -> String {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &[]);
    let (key, caller) = new_key(folder.path(), "ci");
    let usage = "[usage]\nfile = \"usage.db\"\nbudget = \"5 USD/day\"\n";
    config(
        folder.path(),
        &mock,
        &format!("{caller}\nrequests = \"60/min\"\nbudget = \"1 USD/day\"\n{usage}"),
    );
    let served = configured(folder.path());
    assert_eq!((served.ask(&key).status, served.ask(OWN_KEY).status), (200, 200));
    served.wait_until("counted", |served| {
        served.look("/metrics").body.contains("paceline_attempts_total{upstream=\"main\",class=\"ok\"} 2")
    });
    served.look("/metrics").body
}

#[test]
fn grafana_is_shown_all_that_metrics_tell_and_nothing_else() {
    let told = Told::read(&page());
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut targets = Vec::new();
    with_member(&dashboard, "expr", &mut targets);
    let mut used = BTreeSet::new();
    for target in targets {
        let expr = target["expr"].as_str().unwrap();
        let by = summed_by(expr);
        let mentions = mentions(expr);
        assert!(!mentions.is_empty(), "{expr}");
        for Mention { before, series, matchers } in mentions {
            let family = told.family(series);
            let labels = told.series.get(series).unwrap_or_else(|| panic!("`{series}` has no sample"));
            let has = |label: &str| labels.contains_key(label) || ADDED.contains(&label);
            for (label, operator, value) in &matchers {
                assert!(has(label), "`{series}` has no `{label}`: {expr}");
                let is = operator != "=" || labels.get(label).is_some_and(|values| values.contains(value));
                assert!(is, "`{series}` is never {label}=`{value}`: {expr}");
            }
            let strange = by.iter().find(|label| !has(label));
            assert_eq!(strange, None, "`{series}` has no such label: {expr}");
            // Only the growth of a counter means anything, and only a counter grows.
            let grows = before.ends_with("rate(") || before.ends_with("increase(");
            assert_eq!(
                grows,
                told.kinds[family] != "gauge",
                "`{series}` is a {}: {expr}",
                told.kinds[family]
            );
            used.insert(family.to_owned());
        }
        let legend = target["legendFormat"].as_str().unwrap();
        let lost = shown(legend).into_iter().find(|label| !by.contains(label));
        assert_eq!(lost, None, "the legend of {expr}");
    }
    let all: BTreeSet<String> = told.kinds.into_keys().collect();
    assert_eq!(used, all, "what the dashboard shows, and what /metrics tells");
}

#[test]
fn grafanas_variables_choose_among_what_metrics_tell() {
    let told = Told::read(&page());
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let names: BTreeSet<&str> = variables.iter().map(|of| of["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["account", "datasource", "instance"]));
    for query in variables.iter().filter_map(|of| of["definition"].as_str()) {
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
        let (series, label) = inner.split_once(", ").unwrap();
        assert!(told.series[series].contains_key(label) || ADDED.contains(&label), "{query}");
    }
    // What is asked for by `$name` is a variable, or Grafana's own.
    for name in DASHBOARD.split('$').skip(1) {
        let name = name.trim_start_matches('{');
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap();
        assert!(name.starts_with("__") || names.contains(&name[..end]), "${}", &name[..end]);
    }
    let mut panels = Vec::new();
    with_member(&dashboard, "gridPos", &mut panels);
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "every panel has a number of its own");
}
